//! The point that is kept of a sample: its series, its second, and two values as codes.

/// The code of a value: in tenths, exactly up to `2^bits` of them, and beyond that with so many
/// significant bits. So the error is half a tenth, or `2^-bits` of the value if that is more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    bits: u32,
}

/// Percent of one core: to 0.1 up to 25.6 %, to 0.4 % of itself above.
pub(crate) const CPU: Scale = Scale { bits: 8 };
/// MB: to 0.1 up to 409.6 MB, to 0.025 % of itself above.
pub(crate) const MEM: Scale = Scale { bits: 12 };

impl Scale {
    /// The nearest code. The limits of a sample keep it within 16 bits.
    pub(crate) fn code(self, value: f64) -> u16 {
        // `as` takes what is not a number as 0, and saturates.
        let tenths = (value * 10.0).round() as u64;
        let length = u64::BITS - tenths.leading_zeros();
        let shift = length.saturating_sub(self.bits);
        let code = (u64::from(shift) << (self.bits - 1)) + (tenths >> shift);
        u16::try_from(code).unwrap_or(u16::MAX)
    }

    /// The middle of what has this code.
    pub(crate) fn value(self, code: u16) -> f64 {
        let code = u64::from(code);
        // No sample has more; a damaged file may say so.
        let shift = (code >> (self.bits - 1)).saturating_sub(1).min(40);
        let tenths = (code - (shift << (self.bits - 1))) << shift;
        let middle = if shift == 0 { 0.0 } else { ((1u64 << shift) - 1) as f64 / 2.0 };
        (tenths as f64 + middle) / 10.0
    }
}

/// The number of a series, for as long as its history is kept.
pub(crate) type SeriesId = u32;

/// One second of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) series: SeriesId,
    pub(crate) row: Row,
}

/// One second: since 1970, and the codes of [`CPU`] and [`MEM`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) second: u32,
    pub(crate) cpu: u16,
    pub(crate) mem: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use proptest::prelude::*;

    #[test]
    fn small_values_are_exact_to_a_tenth() {
        for tenths in 0..256 {
            assert_eq!(CPU.value(CPU.code(f64::from(tenths) / 10.0)), f64::from(tenths) / 10.0);
        }
        for tenths in 0..4096 {
            assert_eq!(MEM.value(MEM.code(f64::from(tenths) / 10.0)), f64::from(tenths) / 10.0);
        }
    }

    #[test]
    fn the_limits_of_a_sample_have_a_code() {
        for (scale, limit) in [(CPU, sample::CPU), (MEM, sample::MEM)] {
            assert!(scale.code(limit) < u16::MAX);
            assert!((scale.value(scale.code(limit)) / limit - 1.0).abs() < 0.004);
        }
    }

    proptest! {
        #[test]
        fn the_error_is_as_stated(cpu in 0.0..sample::CPU, mem in 0.0..sample::MEM) {
            for (scale, value) in [(CPU, cpu), (MEM, mem)] {
                let kept = scale.value(scale.code(value));
                let allowed = f64::max(0.0501, value / f64::from(1 << scale.bits) + 0.0501);
                prop_assert!((kept - value).abs() <= allowed, "{value} is kept as {kept}");
            }
        }

        #[test]
        fn codes_are_in_the_order_of_their_values(a in 0..u16::MAX) {
            for (scale, limit) in [(CPU, sample::CPU), (MEM, sample::MEM)] {
                let value = scale.value(a);
                if value <= limit {
                    prop_assert!(value < scale.value(a + 1));
                    prop_assert_eq!(scale.code(value), a);
                }
            }
        }
    }
}
