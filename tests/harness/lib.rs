//! What tests of whole brokers share: processes, ports, records, histories and their checker.

pub mod batch;
pub mod broker;
pub mod checker;
pub mod device;
pub mod history;
pub mod load;
pub mod nbd;
pub mod place;
pub mod records;
pub mod reference;
pub mod seeded;
pub mod wire;
