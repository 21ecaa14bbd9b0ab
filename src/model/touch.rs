//! Reading ahead.

use std::hint::black_box;

/// Begins to read a value from memory. The processor does not wait for it before it is used, so that
/// what is far away is read while other work goes on, and several such values at the same time.
pub fn touch<T: Copy>(value: T) {
    black_box(value);
}
