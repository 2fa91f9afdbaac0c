//! Against a real NATS server and a real PostgreSQL.

#[cfg(test)]
mod foreign;
#[cfg(test)]
mod relay;
#[cfg(test)]
mod world;
