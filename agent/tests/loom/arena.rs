//! Stands for the agent's arena: values that loom watches cannot be zeroed memory.

/// See the module's description.
pub(crate) struct Arena<T>(Vec<T>);

/// # Safety
/// None is needed here.
pub(crate) unsafe trait Zeroed {}

impl<T: Default> Arena<T> {
    pub(crate) fn map(len: usize) -> Option<Arena<T>> {
        Some(Arena((0..len).map(|_| T::default()).collect()))
    }
}

impl<T> std::ops::Deref for Arena<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}
