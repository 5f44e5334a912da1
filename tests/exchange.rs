//! Messages between environments: the interface, the system address, the exchange, and all of them together.

#[path = "exchange/calls.rs"]
mod calls;
#[path = "exchange/deliveries.rs"]
mod deliveries;
#[path = "exchange/interface.rs"]
mod interface;
#[path = "exchange/model.rs"]
mod model;
#[path = "exchange/random_worlds.rs"]
mod random_worlds;
#[path = "exchange/rng.rs"]
mod rng;
#[path = "exchange/routing.rs"]
mod routing;
#[path = "exchange/watch.rs"]
mod watch;
#[path = "exchange/world.rs"]
mod world;
