//! As `obedient`, with jemalloc.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Jemalloc> = plimsoll::Allocator::with_stats(Jemalloc);

fn main() {
    plimsoll_examples::obey(plimsoll::Session::from_env_or_idle());
}
