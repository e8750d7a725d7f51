//! Signatures of the operators and standard functions.

use super::types::{Bindings, Type};

/// One way to call a function.
#[derive(Debug, Clone)]
pub(super) struct Overload {
    member: bool,
    parameters: Vec<Type>,
    result: Type,
}

impl Overload {
    /// `f(parameters…)`
    pub(super) fn global(parameters: Vec<Type>, result: Type) -> Self {
        Self {
            member: false,
            parameters,
            result,
        }
    }

    /// `parameters[0].f(parameters[1]…)`
    fn member(parameters: Vec<Type>, result: Type) -> Self {
        Self {
            member: true,
            parameters,
            result,
        }
    }

    fn apply(&self, member: bool, arguments: &[Type]) -> Option<Type> {
        if self.member != member || self.parameters.len() != arguments.len() {
            return None;
        }
        let mut bindings = Bindings::default();
        self.parameters
            .iter()
            .zip(arguments)
            .all(|(wanted, given)| bindings.accept(wanted, given))
            .then(|| bindings.resolve(&self.result))
    }
}

/// The type of a call, dynamic when several overloads with different results fit.
pub(super) fn resolve(overloads: &[Overload], member: bool, arguments: &[Type]) -> Option<Type> {
    let mut results = overloads
        .iter()
        .filter_map(|overload| overload.apply(member, arguments));
    let first = results.next()?;
    Some(if results.all(|other| other == first) {
        first
    } else {
        Type::Dyn
    })
}

/// The overloads of an operator or standard function; empty when there is none of that name.
pub(super) fn standard(name: &str) -> Vec<Overload> {
    use Type::{Bool, Bytes, Double, Duration, Int, Text, Timestamp, Uint};
    let any = || Type::Parameter('A');
    let same = |types: &[Type], result: fn(&Type) -> Type| -> Vec<Overload> {
        types
            .iter()
            .map(|ty| Overload::global(vec![ty.clone(), ty.clone()], result(ty)))
            .collect()
    };
    match name {
        "_&&_" | "_||_" => vec![Overload::global(vec![Bool, Bool], Bool)],
        "!_" => vec![Overload::global(vec![Bool], Bool)],
        "-_" => [Int, Double]
            .map(|ty| Overload::global(vec![ty.clone()], ty))
            .to_vec(),
        "_?_:_" => vec![Overload::global(vec![Bool, any(), any()], any())],
        "_==_" | "_!=_" => vec![Overload::global(vec![any(), any()], Bool)],
        "_<_" | "_<=_" | "_>_" | "_>=_" => same(
            &[Bool, Int, Uint, Double, Text, Bytes, Timestamp, Duration],
            |_| Bool,
        ),
        "_*_" | "_/_" => same(&[Int, Uint, Double], Type::clone),
        "_%_" => same(&[Int, Uint], Type::clone),
        "_+_" => {
            let mut overloads = same(
                &[Int, Uint, Double, Text, Bytes, Duration, Type::list(any())],
                Type::clone,
            );
            overloads.push(Overload::global(vec![Timestamp, Duration], Timestamp));
            overloads.push(Overload::global(vec![Duration, Timestamp], Timestamp));
            overloads
        }
        "_-_" => {
            let mut overloads = same(&[Int, Uint, Double, Duration], Type::clone);
            overloads.push(Overload::global(vec![Timestamp, Timestamp], Duration));
            overloads.push(Overload::global(vec![Timestamp, Duration], Timestamp));
            overloads
        }
        "@in" => vec![
            Overload::global(vec![any(), Type::list(any())], Bool),
            Overload::global(vec![any(), Type::map(any(), Type::Parameter('B'))], Bool),
        ],
        "_[_]" => vec![
            Overload::global(vec![Type::list(any()), Int], any()),
            Overload::global(
                vec![Type::map(any(), Type::Parameter('B')), any()],
                Type::Parameter('B'),
            ),
        ],
        _ => functions(name),
    }
}

fn functions(name: &str) -> Vec<Overload> {
    use Type::{Bool, Bytes, Double, Duration, Int, Text, Timestamp, Uint};
    let any = || Type::Parameter('A');
    let from = |sources: Vec<Type>, result: &Type| -> Vec<Overload> {
        sources
            .into_iter()
            .map(|source| Overload::global(vec![source], result.clone()))
            .collect()
    };
    match name {
        "size" => [
            Text,
            Bytes,
            Type::list(any()),
            Type::map(any(), Type::Parameter('B')),
        ]
        .into_iter()
        .flat_map(|ty| {
            [
                Overload::global(vec![ty.clone()], Int),
                Overload::member(vec![ty], Int),
            ]
        })
        .collect(),
        "contains" | "startsWith" | "endsWith" => vec![Overload::member(vec![Text, Text], Bool)],
        "matches" => vec![
            Overload::member(vec![Text, Text], Bool),
            Overload::global(vec![Text, Text], Bool),
        ],
        "int" => from(vec![Int, Uint, Double, Text, Timestamp, Duration], &Int),
        "uint" => from(vec![Uint, Int, Double, Text], &Uint),
        "double" => from(vec![Double, Int, Uint, Text], &Double),
        "string" => from(
            vec![Text, Bool, Int, Uint, Double, Bytes, Timestamp, Duration],
            &Text,
        ),
        "bytes" => from(vec![Bytes, Text], &Bytes),
        "bool" => from(vec![Bool, Text], &Bool),
        "duration" => from(vec![Duration, Text, Int], &Duration),
        "timestamp" => from(vec![Timestamp, Text, Int], &Timestamp),
        "dyn" => from(vec![any()], &Type::Dyn),
        "type" => from(vec![any()], &Type::kind(any())),
        "getHours" | "getMinutes" | "getSeconds" | "getMilliseconds" => vec![
            Overload::member(vec![Duration], Int),
            Overload::member(vec![Timestamp], Int),
            Overload::member(vec![Timestamp, Text], Int),
        ],
        "getFullYear" | "getMonth" | "getDate" | "getDayOfMonth" | "getDayOfWeek"
        | "getDayOfYear" => vec![
            Overload::member(vec![Timestamp], Int),
            Overload::member(vec![Timestamp, Text], Int),
        ],
        _ => Vec::new(),
    }
}

/// The functions of optional values, which only some environments have.
pub(super) fn optionals(name: &str) -> Vec<Overload> {
    let any = || Type::Parameter('A');
    let optional = || Type::Optional(Box::new(any()));
    let value = || Type::Parameter('B');
    let list = || Type::list(any());
    let map = || Type::map(any(), value());
    let maybe = |inner: Type| Type::Optional(Box::new(inner));
    match name {
        "hasValue" => vec![Overload::member(vec![optional()], Type::Bool)],
        "value" => vec![Overload::member(vec![optional()], any())],
        "orValue" => vec![Overload::member(vec![optional(), any()], any())],
        "or" => vec![Overload::member(vec![optional(), optional()], optional())],
        "optional.of" | "optional.ofNonZeroValue" => {
            vec![Overload::global(vec![any()], optional())]
        }
        "optional.none" => vec![Overload::global(Vec::new(), optional())],
        "optional.unwrap" => vec![Overload::global(vec![Type::list(optional())], list())],
        "unwrapOpt" => vec![Overload::member(vec![Type::list(optional())], list())],
        "first" | "last" => vec![Overload::member(vec![list()], optional())],
        "_[?_]" => vec![
            Overload::global(vec![list(), Type::Int], optional()),
            Overload::global(vec![maybe(list()), Type::Int], optional()),
            Overload::global(vec![map(), any()], maybe(value())),
            Overload::global(vec![maybe(map()), any()], maybe(value())),
        ],
        "_[_]" => vec![
            Overload::global(vec![maybe(list()), Type::Int], optional()),
            Overload::global(vec![maybe(map()), any()], maybe(value())),
        ],
        _ => Vec::new(),
    }
}
