//! Numbers as Go prints them.

/// The shortest text that reads back as the same number, as `%g` of Go prints it.
pub(crate) fn shortest(value: f64) -> String {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent_value: i32 = exponent.parse().unwrap_or_default();
    // Up to six digits in front of the point, and four zeros behind it.
    if value == 0.0 || (-4..6).contains(&exponent_value) {
        return format!("{value}");
    }
    let (sign, digits) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_begin_where_go_begins_them() {
        for (value, text) in [
            (1e6, "1e+06"),
            (1e5, "100000"),
            (123_456_789.0, "1.23456789e+08"),
            (1e20, "1e+20"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1.5e10, "1.5e+10"),
            (999_999.0, "999999"),
            (1.5, "1.5"),
            (0.0, "0"),
            (-0.0, "-0"),
        ] {
            assert_eq!(shortest(value), text);
        }
    }
}
