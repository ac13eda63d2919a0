//! As `obedient`, with mimalloc.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOC: plimsoll::Allocator<MiMalloc> = plimsoll::Allocator::with_stats(MiMalloc);

fn main() {
    plimsoll_examples::obey(plimsoll::Session::from_env_or_idle());
}
