//! Customers: whom a key may act for.

use std::fmt;

use thiserror::Error;

use crate::model::{
    limit::Limits,
    name::DomainName,
    record::Record,
    text::{DisplayName, Prose},
};

const CUSTOMERS_MAX: usize = 100;
const CUSTOMER_BYTES_MAX: usize = 128;

/// A text that cannot be a customer's id.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidCustomer {
    /// Empty, too long, or with a character that no id has.
    #[error("must be 1 to {CUSTOMER_BYTES_MAX} visible ASCII characters")]
    Form,
    /// One customer twice.
    #[error("is given twice")]
    Duplicate,
    /// More customers than a key takes.
    #[error("must be {CUSTOMERS_MAX} at most")]
    TooMany,
}

/// The operators' own id for a customer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId(Box<str>);

impl CustomerId {
    /// Checks the form of an id.
    pub fn parse(text: &str) -> Result<Self, InvalidCustomer> {
        if is_customer(text) { Ok(Self(text.into())) } else { Err(InvalidCustomer::Form) }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A customer's number, which no other one has, nor one that gets its id when it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerNumber(i64);

impl CustomerNumber {
    /// The number that the database gave.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// As the database knows it.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// What differs between numbers that were given one after the other.
    pub const fn low_bits(self) -> u16 {
        let [.., high, low] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }
}

/// What operators say of a customer: its limits. A key may name customers of which nothing is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The domain that it belongs to; set at creation.
    pub domain: DomainName,
    /// Never changes.
    pub id: CustomerId,
    /// For people.
    pub display_name: DisplayName,
    /// For people.
    pub description: Prose,
    /// What all requests for it share.
    pub limits: Limits,
    /// Its history in short.
    pub record: Record,
}

/// All customers that a key may act for. None: customers do not restrict it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Customers(Box<[Box<str>]>);

impl Customers {
    /// Reads a list of ids; an error says which of them is wrong.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, (usize, InvalidCustomer)> {
        if texts.len() > CUSTOMERS_MAX {
            return Err((CUSTOMERS_MAX, InvalidCustomer::TooMany));
        }
        let mut customers: Vec<Box<str>> = Vec::with_capacity(texts.len());
        for (position, text) in texts.iter().enumerate() {
            let text = text.as_ref();
            if !is_customer(text) {
                return Err((position, InvalidCustomer::Form));
            }
            if customers.iter().any(|known| **known == *text) {
                return Err((position, InvalidCustomer::Duplicate));
            }
            customers.push(text.into());
        }
        Ok(Self(customers.into()))
    }

    /// Whether a request for this customer (empty: it names none) may pass.
    pub fn allow(&self, customer: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|allowed| **allowed == *customer)
    }

    /// The ids in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|customer| &**customer)
    }

    /// Whether there are none, so that customers do not restrict the key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_customer(text: &str) -> bool {
    let fits = (1..=CUSTOMER_BYTES_MAX).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_customers_any_may_pass() {
        let customers = Customers::default();
        assert!(customers.is_empty());
        assert!(customers.allow(""));
        assert!(customers.allow("c-1"));
    }

    #[test]
    fn with_customers_these_alone_pass() {
        let customers = Customers::parse(&["c-1", "C/2"]).unwrap();
        assert!(!customers.is_empty());
        for (customer, expected) in [
            ("c-1", true),
            ("C/2", true),
            ("", false),
            ("c-", false),
            ("c-11", false),
            ("C-1", false),
            ("c-1 ", false),
            ("*", false),
        ] {
            assert_eq!(customers.allow(customer), expected, "{customer:?}");
        }
        assert_eq!(customers.iter().collect::<Vec<_>>(), ["c-1", "C/2"]);
    }

    #[test]
    fn other_texts_are_refused() {
        let long = "a".repeat(129);
        for text in ["", " ", "a b", "a\t", "a\u{7f}", "ä", &long] {
            assert_eq!(
                Customers::parse(&["ok", text]),
                Err((1, InvalidCustomer::Form)),
                "{text:?}"
            );
        }
        assert!(Customers::parse(&[&long[..128]]).is_ok());
        assert_eq!(Customers::parse(&["a", "b", "a"]), Err((2, InvalidCustomer::Duplicate)));
        let ids = |count: usize| (0..count).map(|id| id.to_string()).collect::<Vec<_>>();
        assert_eq!(Customers::parse(&ids(101)), Err((100, InvalidCustomer::TooMany)));
        assert_eq!(Customers::parse(&ids(100)).unwrap().iter().collect::<Vec<_>>(), ids(100));
    }

    proptest! {
        #[test]
        fn a_customer_passes_only_if_it_is_listed(
            listed in prop::collection::hash_set("[ab]{1,3}", 1..4), asked in "[ab]{0,3}",
        ) {
            let texts: Vec<&String> = listed.iter().collect();
            let customers = Customers::parse(&texts).unwrap();
            prop_assert_eq!(customers.allow(&asked), listed.contains(&asked));
        }
    }
}
