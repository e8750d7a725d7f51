//! The DNS server of the cluster: it knows Services.

const RESPONSE: u16 = 0x8580;
const SERVER_FAILURE: u16 = 2;
const NO_SUCH_NAME: u16 = 3;

/// The response to a question; `address` finds the address of a name.
pub(super) fn answer(
    question: &[u8],
    is_broken: bool,
    address: impl Fn(&str) -> Option<[u8; 4]>,
) -> Option<Vec<u8>> {
    let (header, body) = question.split_at_checked(12)?;
    let (name, end) = name(body)?;
    let question = body.get(..end + 4)?;
    let found = address(&name).filter(|_| !is_broken);
    let code = match (is_broken, found) {
        (true, _) => SERVER_FAILURE,
        (false, None) => NO_SUCH_NAME,
        (false, Some(_)) => 0,
    };
    let mut response = header[..2].to_vec();
    for field in [RESPONSE | code, 1, u16::from(found.is_some()), 0, 0] {
        response.extend(field.to_be_bytes());
    }
    response.extend(question);
    if let Some(address) = found {
        // A pointer to the name in the question, type A, class IN, 30 s, four bytes.
        response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]);
        response.extend(address);
    }
    Some(response)
}

/// A name without its final dot, and where it ends.
fn name(body: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 0);
    loop {
        let length = usize::from(*body.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = body.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += length;
    }
}
