//! Sorting in place without recursion, memory or a copy of the code for each type: a heap, whose comparisons and swaps the caller makes.

/// Sorts `len` places: `is_less(a, b)` compares what lies at two of them, `swap(a, b)` exchanges it. Takes time n·log n; equal ones may change places.
pub fn sort(len: usize, is_less: &dyn Fn(usize, usize) -> bool, swap: &dyn Fn(usize, usize)) {
    (0..len / 2).rev().for_each(|root| sift_down(root, len, is_less, swap));
    for end in (1..len).rev() {
        swap(0, end);
        sift_down(0, end, is_less, swap);
    }
}

fn sift_down(mut root: usize, end: usize, is_less: &dyn Fn(usize, usize) -> bool, swap: &dyn Fn(usize, usize)) {
    loop {
        let mut child = root * 2 + 1;
        if child >= end {
            return;
        }
        if child + 1 < end && is_less(child, child + 1) {
            child += 1;
        }
        if !is_less(root, child) {
            return;
        }
        swap(root, child);
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_is_the_standard_library_s(mut numbers in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut ours = numbers.clone();
            let cells = Cell::from_mut(ours.as_mut_slice()).as_slice_of_cells();
            sort(cells.len(), &|a, b| cells[a].get() < cells[b].get(), &|a, b| cells[a].swap(&cells[b]));
            numbers.sort_unstable();
            prop_assert_eq!(ours, numbers);
        }
    }
}
