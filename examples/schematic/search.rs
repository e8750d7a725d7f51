//! Which extension list an ID stands for: a search over the combinations of known extensions.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use factory_client::schematic::Encoder;
use factory_client::{Schematic, SchematicId};
use sha2::block_api::compress256;

/// A search for the extension list behind an ID.
///
/// Lists are tried in alphabetical order without repetitions, which is how people and tools write them; a list in
/// another order has another ID and is not found. For up to five of the 62 extensions of Talos 1.10.7 that are seven
/// million lists, a matter of a second or two.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    id: SchematicId,
    base: Schematic,
    names: Vec<String>,
    at_most: usize,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SearchProgress {
    /// Lists tried so far.
    pub(crate) tried: u64,
    /// Lists there are.
    pub(crate) total: u64,
}

/// A thread reports after this many lists.
const REPORT_EVERY: u64 = 1 << 16;

impl Search {
    /// A search over all lists of up to five of these extensions, in a schematic without other fields.
    pub(crate) fn new<I>(id: SchematicId, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
        names.sort();
        names.dedup();
        Self {
            id,
            base: Schematic::default(),
            names,
            at_most: 5,
        }
    }

    /// Sets the fields other than extensions that the schematic is assumed to have.
    pub(crate) fn base(mut self, schematic: Schematic) -> Self {
        self.base = schematic;
        self
    }

    /// Sets the longest list; the effort grows with about the twelvefold for each.
    pub(crate) fn at_most(mut self, extensions: usize) -> Self {
        self.at_most = extensions;
        self
    }

    /// How many lists there are to try.
    pub(crate) fn total(&self) -> u64 {
        let n = self.names.len() as u64;
        let mut sum = 0_u64;
        let mut choices = 1_u64;
        for k in 0..=(self.at_most as u64).min(n) {
            sum = sum.saturating_add(choices);
            choices = choices.saturating_mul(n - k) / (k + 1);
        }
        sum
    }

    /// Searches on all processors, and returns the schematic of the ID. Blocks: inside an async program, call it on
    /// a blocking thread. `progress` is called now and then, from any of the searching threads.
    pub(crate) fn run(&self, progress: impl Fn(SearchProgress) + Sync) -> Option<Schematic> {
        let without = self.candidate(&[]);
        if without.id_by(Encoder::default()) == self.id {
            return Some(without);
        }
        let hunt = Hunt::new(self, &progress);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| hunt.work());
            }
        });
        let found = hunt.found.into_inner().ok().flatten()?;
        Some(self.candidate(&found))
    }

    fn candidate(&self, indices: &[usize]) -> Schematic {
        let names = indices.iter().map(|at| self.names[*at].clone());
        self.base.clone().with_extensions(names)
    }
}

/// What all threads share.
struct Hunt<'a> {
    target: [u32; 8],
    /// The text before the first extension.
    start: Prefix,
    /// The lines of the extensions.
    lines: Vec<String>,
    /// The text behind the last extension.
    suffix: String,
    at_most: usize,
    next: AtomicUsize,
    stop: AtomicBool,
    found: Mutex<Option<Vec<usize>>>,
    tried: AtomicU64,
    total: u64,
    progress: &'a (dyn Fn(SearchProgress) + Sync),
}

impl<'a> Hunt<'a> {
    fn new(search: &Search, progress: &'a (dyn Fn(SearchProgress) + Sync)) -> Self {
        let template = search.base.clone().with_extensions(["MARK"]);
        let text = template.canonical();
        let (before, suffix) = text
            .split_once("            - MARK\n")
            .unwrap_or((&text, ""));
        let lines = search.names.iter().map(|name| {
            let one = Schematic::default().with_extensions([name]);
            let text = one.canonical();
            let at = text.find("            - ").unwrap_or(text.len());
            text[at..].to_owned()
        });
        Self {
            target: words(&search.id),
            start: Prefix::default().with(before.as_bytes()),
            lines: lines.collect(),
            suffix: suffix.to_owned(),
            at_most: search.at_most,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            found: Mutex::new(None),
            tried: AtomicU64::new(1),
            total: search.total(),
            progress,
        }
    }

    /// Takes first extensions until there are none left.
    fn work(&self) {
        let mut walk = Walk {
            hunt: self,
            chosen: Vec::with_capacity(self.at_most),
            tried: 0,
        };
        loop {
            let first = self.next.fetch_add(1, Ordering::Relaxed);
            if first >= self.lines.len() || self.at_most == 0 {
                break;
            }
            if walk.try_line(&self.start, first).is_break() {
                break;
            }
        }
        walk.report();
    }
}

/// One thread's way through the combinations.
struct Walk<'a> {
    hunt: &'a Hunt<'a>,
    chosen: Vec<usize>,
    tried: u64,
}

impl Walk<'_> {
    /// Tries the list that `before` stands for with line `at` added, and everything longer that starts like it.
    fn try_line(&mut self, before: &Prefix, at: usize) -> ControlFlow<()> {
        let text = before.with(self.hunt.lines[at].as_bytes());
        self.chosen.push(at);
        self.tried += 1;
        if self.tried == REPORT_EVERY {
            self.report();
            if self.hunt.stop.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
        }
        if text.digest_with(self.hunt.suffix.as_bytes()) == self.hunt.target {
            self.hunt.stop.store(true, Ordering::Relaxed);
            if let Ok(mut found) = self.hunt.found.lock() {
                *found = Some(self.chosen.clone());
            }
            return ControlFlow::Break(());
        }
        if self.chosen.len() < self.hunt.at_most {
            for next in at + 1..self.hunt.lines.len() {
                self.try_line(&text, next)?;
            }
        }
        self.chosen.pop();
        ControlFlow::Continue(())
    }

    fn report(&mut self) {
        let tried = std::mem::take(&mut self.tried);
        let tried = tried + self.hunt.tried.fetch_add(tried, Ordering::Relaxed);
        (self.hunt.progress)(SearchProgress {
            tried,
            total: self.hunt.total,
        });
    }
}

const BLOCK: usize = 64;

/// SHA-256 in the middle of a text: cheap to copy, so that lists with the same start share its work.
#[derive(Clone)]
struct Prefix {
    state: [u32; 8],
    tail: [u8; BLOCK],
    filled: usize,
    length: u64,
}

impl Default for Prefix {
    fn default() -> Self {
        Self {
            state: [
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ],
            tail: [0; BLOCK],
            filled: 0,
            length: 0,
        }
    }
}

impl Prefix {
    /// The text with `bytes` added.
    fn with(&self, mut bytes: &[u8]) -> Self {
        let mut longer = self.clone();
        longer.length += bytes.len() as u64;
        while longer.filled + bytes.len() >= BLOCK {
            let (part, rest) = bytes.split_at(BLOCK - longer.filled);
            longer.tail[longer.filled..].copy_from_slice(part);
            compress256(&mut longer.state, &[longer.tail]);
            longer.filled = 0;
            bytes = rest;
        }
        longer.tail[longer.filled..longer.filled + bytes.len()].copy_from_slice(bytes);
        longer.filled += bytes.len();
        longer
    }

    /// The SHA-256 of the text with `suffix` added.
    fn digest_with(&self, suffix: &[u8]) -> [u32; 8] {
        let mut last = if suffix.is_empty() {
            self.clone()
        } else {
            self.with(suffix)
        };
        last.tail[last.filled] = 0x80;
        last.tail[last.filled + 1..].fill(0);
        if last.filled + 1 > BLOCK - 8 {
            compress256(&mut last.state, &[last.tail]);
            last.tail = [0; BLOCK];
        }
        last.tail[BLOCK - 8..].copy_from_slice(&(last.length * 8).to_be_bytes());
        compress256(&mut last.state, &[last.tail]);
        last.state
    }
}

fn words(id: &SchematicId) -> [u32; 8] {
    std::array::from_fn(|at| {
        let digits = &id.as_str()[8 * at..8 * at + 8];
        u32::from_str_radix(digits, 16).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use factory_client::{OfflineFactory, TalosVersion};

    fn names() -> Vec<&'static str> {
        OfflineFactory::community()
            .official_extensions(&TalosVersion::new(1, 10, 7))
            .unwrap()
    }

    fn search_for(schematic: &Schematic) -> Search {
        Search::new(schematic.local_id().unwrap(), names())
    }

    #[test]
    fn the_digest_in_pieces_is_that_of_the_whole() {
        for length in [0, 1, 54, 55, 56, 63, 64, 65, 119, 128, 200] {
            let text = "x".repeat(length);
            let (a, b) = text.as_bytes().split_at(length / 3);

            let digest = Prefix::default().with(a).digest_with(b);

            assert_eq!(digest, words(&SchematicId::of_text(&text)), "{length}");
        }
    }

    #[test]
    fn the_number_of_lists_is_the_sum_of_the_binomials() {
        let search = Search::new(SchematicId::of_text(""), names());

        assert_eq!(search.total(), 1 + 62 + 1891 + 37_820 + 557_845 + 6_471_002);
        assert_eq!(search.clone().at_most(0).total(), 1);
        assert_eq!(search.at_most(2).total(), 1 + 62 + 1891);
    }

    #[test]
    fn the_other_fields_of_the_schematic_are_taken_into_account() {
        let base = Schematic::builder()
            .kernel_arg("net.ifnames=0")
            .include_well_known_certificates()
            .build()
            .unwrap();
        let wanted = base
            .clone()
            .with_extensions(["siderolabs/btrfs", "siderolabs/zfs"]);

        let search = search_for(&wanted).at_most(2);

        assert_eq!(search.clone().run(|_| {}), None);
        assert_eq!(search.base(base).run(|_| {}), Some(wanted));
    }

    #[test]
    fn the_list_behind_the_id_of_the_guide_is_found() {
        let id = "36cd6536eaec8ba802be2d38974108359069cedba8857302f69792b26b87c010";
        let search = Search::new(SchematicId::parse(id).unwrap(), names()).at_most(3);

        let found = search.run(|_| {}).unwrap();

        let expected = [
            "siderolabs/intel-ucode",
            "siderolabs/iscsi-tools",
            "siderolabs/util-linux-tools",
        ];
        assert_eq!(found.extensions(), expected);
    }

    #[test]
    fn no_extension_at_all_is_a_list_too() {
        let empty = Schematic::default();

        assert_eq!(search_for(&empty).run(|_| {}), Some(empty));
    }

    #[test]
    fn an_id_of_something_else_is_not_found_and_progress_reaches_the_total() {
        let most = AtomicU64::new(0);
        let search = Search::new(SchematicId::of_text(""), names()).at_most(3);

        let found = search.run(|progress| {
            most.fetch_max(progress.tried, Ordering::Relaxed);
        });

        assert_eq!(found, None);
        assert_eq!(most.into_inner(), search.total());
    }
}
