//! The accounts service as its callers see it: real PostgreSQL, real NATS, gRPC over a socket.

#[cfg(test)]
mod deals;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod office;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod people;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod search;
#[cfg(test)]
mod transfers;
#[cfg(test)]
mod visibility;
