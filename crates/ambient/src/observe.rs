//! Events go to an observer that was handed in; who makes an event does not know who reads it.

/// Receives events of one kind. Must return at once: slow readers queue for themselves.
pub trait Observer<E: ?Sized>: Send + Sync + 'static {
    /// Called once per event, on the thread that made it.
    fn observe(&self, event: &E);

    /// Whether what happens next will be heard. Who may not act unheard asks first, and refuses on `false`.
    fn listens(&self) -> bool {
        true
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ignore;

impl<E: ?Sized> Observer<E> for Ignore {
    fn observe(&self, _: &E) {}
}
