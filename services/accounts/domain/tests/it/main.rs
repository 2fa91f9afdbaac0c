//! Laws that hold for every aggregate of accounts, and the stored form of every event.

#[cfg(test)]
mod deal_laws;
#[cfg(test)]
mod extras;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod order_laws;
#[cfg(test)]
mod view_laws;
