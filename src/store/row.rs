//! How values stand in rows.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::{
    Row,
    binary_copy::BinaryCopyOutRow,
    types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked},
};

use crate::{
    model::{id::KeyId, secret::Digest, time::Timestamp},
    store::error::StoreError,
};

/// Microseconds from 1970 to 2000, where PostgreSQL counts from.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A value of a row by the name of its column.
pub(super) fn field<'a, T: FromSql<'a>>(
    row: &'a Row,
    table: &'static str,
    column: &'static str,
) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::corrupt(table, column, error))
}

/// A value of a row of COPY, which has no names, by its place.
pub(super) fn copied<'a, T: FromSql<'a>>(
    row: &'a BinaryCopyOutRow,
    place: usize,
    table: &'static str,
    column: &'static str,
) -> Result<T, StoreError> {
    row.try_get(place).map_err(|error| StoreError::corrupt(table, column, error))
}

/// An `int8` on the wire: infinity on both sides, everything else shifted.
impl<'a> FromSql<'a> for Timestamp {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match i64::from_sql(&Type::INT8, raw)? {
            i64::MAX => Self::DISTANT_FUTURE,
            i64::MIN => Self::DISTANT_PAST,
            micros => Self::from_micros(micros.saturating_add(EPOCH_MICROS)),
        })
    }

    accepts!(TIMESTAMPTZ);
}

impl ToSql for Timestamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let micros = match *self {
            Self::DISTANT_FUTURE => i64::MAX,
            Self::DISTANT_PAST => i64::MIN,
            time => time.micros().saturating_sub(EPOCH_MICROS),
        };
        micros.to_sql(&Type::INT8, out)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for KeyId {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::from_bytes(raw.try_into()?))
    }

    accepts!(UUID);
}

impl ToSql for KeyId {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.bytes());
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Digest {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::from_bytes(raw.try_into()?))
    }

    accepts!(BYTEA);
}

impl ToSql for Digest {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.bytes());
        Ok(IsNull::No)
    }

    accepts!(BYTEA);
    to_sql_checked!();
}
