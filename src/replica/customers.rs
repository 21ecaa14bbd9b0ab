//! The customers that operators made, by domain and id.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use papaya::{Equivalent, HashMap};

use crate::{
    model::{
        customer::{CustomerId, CustomerNumber},
        limit::Limits,
        meter::{Metered, Owner},
        name::DomainName,
        reservation::Tag,
        shared::CustomerRow,
        time::BootTime,
        view::{UnreadableRow, limits},
    },
    replica::shared::metered,
};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) domain: DomainName,
    pub(super) id: CustomerId,
}

/// The same, borrowed.
struct PlaceRef<'a>(&'a str, &'a str);

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        PlaceRef(self.domain.as_str(), self.id.as_str()).hash(state);
    }
}

impl Hash for PlaceRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<Place> for PlaceRef<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        self.0 == place.domain.as_str() && self.1 == place.id.as_str()
    }
}

/// What decisions need of a customer.
#[derive(Clone, Debug)]
pub struct CustomerView {
    /// Its number.
    pub number: CustomerNumber,
    /// What was used of its limits, if it has any.
    pub limits: Option<Arc<Metered>>,
}

/// All customers. Readers do not wait for the writer.
#[derive(Debug, Default)]
pub(super) struct CustomerTable(HashMap<Place, CustomerView>);

impl CustomerTable {
    pub(super) fn get(&self, domain: &DomainName, id: &str) -> Option<CustomerView> {
        // most installations have none
        if self.0.is_empty() || id.is_empty() {
            return None;
        }
        self.0.pin().get(&PlaceRef(domain.as_str(), id)).cloned()
    }

    /// One whose limits cannot be read may do nothing.
    pub(super) fn put(&self, row: &CustomerRow<'_>, now: BootTime) -> Result<(), UnreadableRow> {
        let place = place(row)?;
        let (limits, outcome) = match limits(row.limits) {
            Ok(limits) => (limits, Ok(())),
            Err(error) => (Limits::nothing(), Err(error)),
        };
        let before = self.get(&place.domain, place.id.as_str());
        let owner = Owner::Customer(place.domain.clone(), place.id.clone());
        let used = before.as_ref().and_then(|before| before.limits.as_ref());
        let limits = metered((owner, Tag::of(&place.domain)), limits, used, now);
        let number = CustomerNumber::new(row.uid);
        self.0.pin().insert(place, CustomerView { number, limits });
        outcome
    }

    pub(super) fn remove(&self, domain: &str, id: &str) {
        self.0.pin().remove(&PlaceRef(domain, id));
    }

    /// Forgets all but these.
    pub(super) fn retain(&self, is_there: impl Fn(&Place) -> bool) {
        self.0.pin().retain(|place, _| is_there(place));
    }
}

fn place(row: &CustomerRow<'_>) -> Result<Place, UnreadableRow> {
    let domain = DomainName::parse(row.domain)?;
    let id = CustomerId::parse(row.id).map_err(UnreadableRow::Customers)?;
    Ok(Place { domain, id })
}
