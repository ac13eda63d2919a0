//! Parquet, a row group for each step: what DuckDB, pyarrow and most query engines read, alone or as a folder of many.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::table::{COLUMNS, Cell, Cells, Kind};

/// Writes the table.
///
/// # Errors
///
/// When it cannot be written.
pub fn parquet(out: impl Write + Send, steps: impl Iterator<Item = Vec<Cells>>) -> io::Result<()> {
    written(out, steps).map_err(|error| match error {
        ParquetError::External(source) => io::Error::other(source),
        other => io::Error::other(other),
    })
}

fn written(out: impl Write + Send, steps: impl Iterator<Item = Vec<Cells>>) -> Result<(), ParquetError> {
    let schema = Arc::new(parse_message_type(&schema())?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
    let properties = properties.set_created_by(concat!("plimsoll ", env!("CARGO_PKG_VERSION")).to_owned()).build();
    let mut writer = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
    for rows in steps {
        let mut group = writer.next_row_group()?;
        let mut at = 0;
        while let Some(mut column) = group.next_column()? {
            let cells = rows.iter().filter_map(|row| row.get(at));
            write_column(column.untyped(), cells)?;
            column.close()?;
            at += 1;
        }
        group.close()?;
    }
    writer.close().map(drop)
}

/// `message plimsoll { optional int64 pid; … }`.
fn schema() -> String {
    let columns = COLUMNS.iter().map(|(name, kind)| match kind {
        Kind::Text => format!("optional binary {name} (STRING);"),
        Kind::Number => format!("optional int64 {name};"),
        Kind::Real => format!("optional double {name};"),
        Kind::Time => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
    });
    format!("message plimsoll {{ {} }}", columns.collect::<Vec<_>>().join(" "))
}

/// Values that are there, and for each cell whether it is.
fn write_column<'a>(writer: &mut ColumnWriter<'_>, cells: impl Iterator<Item = &'a Cell>) -> Result<(), ParquetError> {
    let mut levels: Vec<i16> = Vec::new();
    let (mut texts, mut numbers, mut reals) = (Vec::new(), Vec::new(), Vec::new());
    for cell in cells {
        let is_there = match cell {
            Cell::Text(text) => text.as_deref().map(|text| texts.push(ByteArray::from(text))).is_some(),
            Cell::Number(number) => number.map(|number| numbers.push(number)).is_some(),
            Cell::Real(real) => real.map(|real| reals.push(real)).is_some(),
            Cell::Time(ns) => {
                numbers.push(ns.div_euclid(1_000));
                true
            }
        };
        levels.push(is_there.into());
    }
    match writer {
        ColumnWriter::ByteArrayColumnWriter(writer) => writer.write_batch(&texts, Some(&levels), None)?,
        ColumnWriter::Int64ColumnWriter(writer) => writer.write_batch(&numbers, Some(&levels), None)?,
        ColumnWriter::DoubleColumnWriter(writer) => writer.write_batch(&reals, Some(&levels), None)?,
        _ => return Err(ParquetError::General("a column of a kind that the table has not".to_owned())),
    };
    Ok(())
}
