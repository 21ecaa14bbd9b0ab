//! Lists that come in pages.

use clap::Args;

use super::{
    error::CliError,
    output::{Field, messages::Shown, note},
    session::Session,
};

const PAGE_MAX: usize = 1000;

/// How much of a list.
#[derive(Clone, Debug, Args)]
pub struct PageArgs {
    /// How many at most; 0: all
    #[arg(long, value_name = "NUMBER", default_value = "500")]
    pub limit: usize,
}

/// A list, as far as it was wanted.
#[derive(Debug)]
pub struct Listed<T> {
    /// What was found.
    pub things: Vec<T>,
    /// Whether there are more.
    more: bool,
    most: usize,
}

impl PageArgs {
    /// Asks for page after page; `page` gets a size and a token, and returns things and the next token.
    pub async fn collect<T>(
        &self,
        mut page: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), CliError>,
    ) -> Result<Listed<T>, CliError> {
        let most = if self.limit == 0 { usize::MAX } else { self.limit };
        let (mut things, mut token) = (Vec::new(), String::new());
        loop {
            let size = most.saturating_sub(things.len()).min(PAGE_MAX);
            let (found, next) = page(i32::try_from(size).unwrap_or(i32::MAX), token).await?;
            things.extend(found);
            token = next;
            if token.is_empty() || things.len() >= most {
                return Ok(Listed { things, more: !token.is_empty(), most });
            }
        }
    }
}

impl<T> Listed<T> {
    /// Says so if there are more than were wanted.
    pub fn tell_more(&self) {
        if self.more {
            let most = self.most;
            note(&format!("There are more than {most}: --limit NUMBER shows more, --limit 0 all."));
        }
    }
}

impl<T: Shown> Listed<T> {
    /// Shows it.
    pub fn show(&self, session: &Session, fields: &[Field<T>]) -> Result<(), CliError> {
        session.out.list(&self.things, fields)?;
        self.tell_more();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_are_followed_until_there_are_enough() {
        for (limit, found, more) in [(0, 25, false), (10, 10, true), (25, 25, false), (7, 10, true)]
        {
            let numbers = async |_size, token: String| {
                let from: i32 = token.parse().unwrap_or_default();
                let to = (from + 5).min(25);
                let next = if to == 25 { String::new() } else { to.to_string() };
                Ok(((from..to).collect(), next))
            };
            let listed = PageArgs { limit }.collect(numbers).await.unwrap();
            assert_eq!((listed.things.len(), listed.more), (found, more), "{limit}");
        }
    }
}
