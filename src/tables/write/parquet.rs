//! Parquet, without Arrow: the cells go into column chunks as they are.
//!
//! The bytes depend on the rows alone. Nothing of the time or the machine is in a file, and where a row group ends is
//! decided by the rows before it.

use super::super::column::{Batch, Cells, Kind, U256Type, Values};
use super::{Shown, Sink, Table, Written, double};
use bytes::Bytes;
use isolane_spec::word;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use std::io;
use std::sync::Arc;

/// A row group ends with the block that brings it to so many rows.
const GROUP_ROWS: usize = 131_072;
/// Or to about so many bytes.
const GROUP_BYTES: usize = 16 << 20;
/// Level of zstd.
const LEVEL: i32 = 3;

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        other => io::Error::other(other),
    }
}

fn field(column: &Written) -> Result<Type, ParquetError> {
    let unsigned = |bits| Some(LogicalType::integer(bits, false));
    let (physical, logical) = match column.shown {
        Shown::Plain(Kind::Bool) => (Physical::BOOLEAN, None),
        Shown::Plain(Kind::U32) => (Physical::INT32, unsigned(32)),
        Shown::Plain(Kind::U64) => (Physical::INT64, unsigned(64)),
        Shown::Word(U256Type::F64) => (Physical::DOUBLE, None),
        Shown::Plain(Kind::Text | Kind::U256) | Shown::Word(U256Type::String) => {
            (Physical::BYTE_ARRAY, Some(LogicalType::String))
        }
        Shown::Plain(Kind::Binary) | Shown::Word(U256Type::Binary) => (Physical::BYTE_ARRAY, None),
    };
    let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    Type::primitive_type_builder(&column.name, physical).with_logical_type(logical).with_repetition(repetition).build()
}

/// Writes row groups.
pub struct Encoder {
    writer: SerializedFileWriter<Sink>,
    columns: Vec<Written>,
    waiting: Vec<Batch>,
    rows: usize,
    bytes: usize,
}

impl Encoder {
    pub fn new(sink: Sink, table: Table, columns: Vec<Written>) -> io::Result<Self> {
        let fields: Result<Vec<_>, _> = columns.iter().map(|column| field(column).map(Arc::new)).collect();
        let schema = fields
            .and_then(|fields| Type::group_type_builder(table.name()).with_fields(fields).build())
            .map_err(failed)?;
        let schema_version = KeyValue::new("isolane.schema".to_owned(), super::super::SCHEMA.to_owned());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL).map_err(failed)?))
            .set_created_by(concat!("isolane ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(vec![schema_version]))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        let writer = SerializedFileWriter::new(sink, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        Ok(Self { writer, columns, waiting: Vec::new(), rows: 0, bytes: 0 })
    }

    pub fn write(&mut self, batch: Batch) -> io::Result<()> {
        self.rows += batch.rows;
        self.bytes += batch.size();
        self.waiting.push(batch);
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let batches = std::mem::take(&mut self.waiting);
        (self.rows, self.bytes) = (0, 0);
        self.group(&batches).map_err(failed)
    }

    fn group(&mut self, batches: &[Batch]) -> Result<(), ParquetError> {
        if batches.iter().all(|batch| batch.rows == 0) {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        let mut columns = self.columns.iter();
        while let (Some(mut writer), Some(column)) = (group.next_column()?, columns.next()) {
            for cells in batches.iter().filter_map(|batch| batch.cells.get(column.source)) {
                put(&mut writer, cells, column)?;
            }
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<Sink> {
        self.flush()?;
        self.writer.into_inner().map_err(failed)
    }
}

fn put(writer: &mut SerializedColumnWriter<'_>, cells: &Cells, column: &Written) -> Result<(), ParquetError> {
    let levels: Option<Vec<i16>> =
        column.nullable.then(|| cells.present.iter().map(|present| i16::from(*present)).collect());
    let levels = levels.as_deref();
    match &cells.values {
        Values::Bool(list) => writer.typed::<BoolType>().write_batch(list, levels, None)?,
        Values::U32(list) => {
            let list: Vec<i32> = list.iter().map(|value| value.cast_signed()).collect();
            writer.typed::<Int32Type>().write_batch(&list, levels, None)?
        }
        Values::U64(list) => {
            let list: Vec<i64> = list.iter().map(|value| value.cast_signed()).collect();
            writer.typed::<Int64Type>().write_batch(&list, levels, None)?
        }
        Values::Binary(strings) | Values::Text(strings) => {
            let bytes = Bytes::from(strings.bytes.clone());
            let list: Vec<ByteArray> = strings.ranges().map(|range| ByteArray::from(bytes.slice(range))).collect();
            writer.typed::<ByteArrayType>().write_batch(&list, levels, None)?
        }
        Values::U256(list) => match column.shown {
            Shown::Word(U256Type::F64) => {
                let list: Vec<f64> = list.iter().map(double).collect();
                writer.typed::<DoubleType>().write_batch(&list, levels, None)?
            }
            Shown::Word(U256Type::Binary) => {
                let list: Vec<ByteArray> = list.iter().map(|value| word::to_be(value).to_vec().into()).collect();
                writer.typed::<ByteArrayType>().write_batch(&list, levels, None)?
            }
            Shown::Word(U256Type::String) | Shown::Plain(_) => {
                let list: Vec<ByteArray> = list.iter().map(|value| value.to_string().into_bytes().into()).collect();
                writer.typed::<ByteArrayType>().write_batch(&list, levels, None)?
            }
        },
    };
    Ok(())
}
