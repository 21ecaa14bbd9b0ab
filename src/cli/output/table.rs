//! Tables that fit: columns are chosen and texts cut by the room there is.

use super::{
    Cell, Fit, Tone,
    text::{cut, padded, plain, styled, width},
};

const GAP: usize = 2;
/// As narrow as a column is made while columns can be left out instead.
const CUT_MIN: usize = 12;
/// As narrow as a column is made at all.
const NARROWEST: usize = 3;

/// How much room a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fitting {
    /// A line has so many columns, and nothing is to be longer.
    Within(usize),
    /// As much as it needs, without the columns of `--wide`.
    Whole,
    /// As much as it needs, with all columns.
    Everything,
}

/// A column with all its texts, the heading first.
struct Column {
    fit: Fit,
    cells: Vec<Cell>,
    width: usize,
}

impl Column {
    fn natural(&self) -> usize {
        self.cells.iter().map(|cell| width(&cell.text)).max().unwrap_or_default()
    }
}

/// A table with a heading. Lines end without blanks.
pub fn render(
    columns: &[(&str, Fit)],
    rows: Vec<Vec<Cell>>,
    fitting: Fitting,
    has_colours: bool,
) -> String {
    let heading = |name: &str| Cell::toned(name.to_uppercase(), Tone::Usual);
    let mut columns: Vec<Column> = columns
        .iter()
        .map(|(name, fit)| Column { fit: *fit, cells: vec![heading(name)], width: 0 })
        .collect();
    for row in rows {
        for (column, mut cell) in columns.iter_mut().zip(row) {
            cell.text = plain(&cell.text);
            column.cells.push(cell);
        }
    }
    if fitting != Fitting::Everything {
        columns.retain(|column| column.fit != Fit::Wide);
    }
    for column in &mut columns {
        column.width = column.natural();
    }
    if let Fitting::Within(room) = fitting {
        fit(&mut columns, room);
    }
    draw(&columns, has_colours)
}

fn taken(columns: &[Column]) -> usize {
    let gaps = GAP * columns.len().saturating_sub(1);
    columns.iter().map(|column| column.width).sum::<usize>() + gaps
}

/// Leaves out and narrows columns until they fit.
fn fit(columns: &mut Vec<Column>, room: usize) {
    loop {
        narrow(columns, room, |fit| if fit == Fit::Cut { CUT_MIN } else { usize::MAX });
        let spare = |column: &Column| match column.fit {
            Fit::Spare(number) => Some(number),
            Fit::Whole | Fit::Cut | Fit::Wide => None,
        };
        let last = columns.iter().filter_map(spare).max();
        let Some(last) = last.filter(|_| taken(columns) > room) else {
            break;
        };
        columns.retain(|column| spare(column) != Some(last));
        for column in columns.iter_mut() {
            column.width = column.natural();
        }
    }
    narrow(columns, room, |fit| if fit == Fit::Whole { usize::MAX } else { NARROWEST });
    narrow(columns, room, |_| NARROWEST);
    while taken(columns) > room && columns.len() > 1 {
        columns.pop();
    }
}

/// Takes from the widest column again and again, down to the least that it may have.
fn narrow(columns: &mut [Column], room: usize, least: impl Fn(Fit) -> usize) {
    let mut excess = taken(columns).saturating_sub(room);
    while excess > 0 {
        let widest = columns
            .iter_mut()
            .filter(|column| column.width > least(column.fit))
            .max_by_key(|column| column.width);
        let Some(widest) = widest else {
            break;
        };
        widest.width -= 1;
        excess -= 1;
    }
}

fn draw(columns: &[Column], has_colours: bool) -> String {
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let mut text = String::new();
    for row in 0..rows {
        let mut line = String::new();
        let mut blanks = 0;
        for column in columns {
            let Some(cell) = column.cells.get(row) else {
                continue;
            };
            let shown = cut(&cell.text, column.width);
            line.push_str(&" ".repeat(blanks));
            line.push_str(&styled(&shown, cell.tone, has_colours));
            blanks = column.width.saturating_sub(width(&shown)) + GAP;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names and what is said of them, one below the other.
pub fn lines(lines: Vec<(&str, Cell)>, has_colours: bool) -> String {
    let names = lines.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
    let mut text = String::new();
    for (name, cell) in lines {
        let name = padded(&format!("{name}:"), names + 1 + GAP);
        text.push_str(&name);
        text.push_str(&styled(&plain(&cell.text), cell.tone, has_colours));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::text::is_harmful, *};

    const COLUMNS: [(&str, Fit); 5] = [
        ("Id", Fit::Whole),
        ("Name", Fit::Cut),
        ("State", Fit::Whole),
        ("Created", Fit::Spare(1)),
        ("Labels", Fit::Wide),
    ];

    fn row(texts: [&str; 5]) -> Vec<Cell> {
        texts.map(Cell::text).to_vec()
    }

    fn drawn(fitting: Fitting) -> String {
        let rows = vec![
            row(["key_1", "A name that goes on and on", "active", "3 days ago", "a=b"]),
            row(["key_2", "", "revoked", "1 day ago", "c=d"]),
        ];
        render(&COLUMNS, rows, fitting, false)
    }

    #[test]
    fn a_table_has_the_columns_that_there_is_room_for() {
        assert_eq!(
            drawn(Fitting::Everything),
            "ID     NAME                        STATE    CREATED     LABELS\n\
             key_1  A name that goes on and on  active   3 days ago  a=b\n\
             key_2  –                           revoked  1 day ago   c=d\n"
        );
        assert!(!drawn(Fitting::Whole).contains("LABELS"));
        assert_eq!(
            drawn(Fitting::Within(46)),
            "ID     NAME                STATE    CREATED\n\
             key_1  A name that goes …  active   3 days ago\n\
             key_2  –                   revoked  1 day ago\n"
        );
        assert_eq!(
            drawn(Fitting::Within(30)),
            "ID     NAME            STATE\n\
             key_1  A name that g…  active\n\
             key_2  –               revoked\n"
        );
    }

    #[test]
    fn lines_stand_below_each_other() {
        let told = vec![("Id", Cell::text("key_1")), ("Last used", Cell::text("a\nb"))];
        assert_eq!(lines(told, false), "Id:         key_1\nLast used:  a\\nb\n");
    }

    proptest! {
        #[test]
        fn a_table_fits_whatever_is_in_it(
            rows in prop::collection::vec(prop::array::uniform5(any::<String>()), 0..6),
            room in 20_usize..120,
        ) {
            let rows = rows.iter().map(|texts| row(texts.each_ref().map(String::as_str)));
            let table = render(&COLUMNS, rows.collect(), Fitting::Within(room), false);
            for line in table.lines() {
                prop_assert!(width(line) <= room, "{line:?}");
                prop_assert!(!line.chars().any(is_harmful), "{line:?}");
            }
        }
    }
}
