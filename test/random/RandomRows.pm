# The tables that random queries are about: a (120 rows), b (60), c (none), and w
# without rowid, which has a key of two columns.  All have the same columns, of
# every type that SQLite compares, with values in every form that it may store.
package RandomRows;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(pick chance sqlite_setup retyped_sql column_types literal column_names
  @ints @bigs @reals @texts @shorts @dates @stamps @times @uuids @numerics @long_numerics @singles @blobs);

sub pick { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }

our @ints = (0, 1, -1, 2, 3, 5, 7, 10, -10, 100, 32767, -32768);
our @bigs = (@ints, 2147483647, -2147483648, 2147483648, '9223372036854775807', '-9223372036854775808', '9007199254740993');
our @reals = ('0.0', '-0.0', '1.0', '-1.0', '0.5', '1.5', '2.5', '-2.5', '0.1', '3.0', '1e300', '-1e300', '1e-300',
	'9e999', '-9e999', '9007199254740993.0', '100.25');
our @texts = (map { "'$_'" } '', 'a', 'A', 'b', 'B', 'ab', 'aB', 'Ab', 'abc', 'z', 'Z', ' ', ' a', 'a ', '_', '%', 'a%c', 'a_c',
	'\\', '10', '9', '1e1', "\x{e4}", "\x{c4}", "\x{e9}t\x{e9}", "\x{df}", 'ss', "\x{65e5}\x{672c}", "\x{1f41f}", "e\x{301}",
	"\x{130}", "\x{131}", 'i', 'I', "it''s", '"q"');
our @blobs = map { "x'$_'" } '', '00', '01', 'ff', '0000', '616263', '00ff', 'ff00';
# Dates and times as PostgreSQL writes them, then in SQLite's other spellings and forms.
our @dates = map { "'$_'" } '2024-02-29', '1999-12-31', '1970-01-01', '1969-12-31', '0001-01-01', '2000-01-01', '9999-12-31',
  '10000-01-01', '0044-03-15 BC', 'infinity', '-infinity';
my @stored_dates = (@dates, "' 2024-02-29 '", "'2024-02-29 00:00'", "'2024-02-29T00:00:00.000'", "'002024-02-29'",
	"'2024-02-29 00:00:00Z'", "'5874000-01-01'", "'Infinity'", 0, -86400, 1709164800, 253402214400, '2460369.5', '2451544.5',
	'2440587.5', '0.5', '1709164800.0');
our @stamps = map { "'$_'" } '2024-02-29 12:34:56', '1999-12-31 23:59:59.999999', '1970-01-01 00:00:00', '1900-01-01 00:00:00',
  '2024-02-29 00:00:00', '2000-01-01 00:00:00', '1999-12-31 23:59:59.5', '0044-03-15 12:00:00 BC', '12024-02-29 01:02:03',
  '294276-12-31 23:59:59', 'infinity', '-infinity';
my @stored_stamps = (@stamps, "'2024-02-29'", "' 2024-02-29T12:34:56Z'", "'2024-02-29 14:34:56+02:00'", "'2024-02-29 24:00:00'",
	"'1999-12-31 23:59:59.9999996'", "'1999-12-31 23:59:59.4999999-15:59'", "'2024-02-29 12:34'",
	"'1969-12-31 23:59:59.999999'", 0, -1, 1709210096, 951782400, '2460370.02425926', '2451544.5', '1709210096.25', '-0.5',
	'5373484.0');
# numbers of other units than seconds
my @millis = (@stamps, 0, -1, 1, 951782400000, 1709210096789, 1709210096500, '253402300799999', '-62135596800000');
my @coredata = (0, -1, '730902896.5', '730902896', '730902896.123457', '-31622400.0', '2e11', "'2024-02-29 12:34:56Z'");
our @times = map { "'$_'" } '00:00:00', '12:34:56', '23:59:59.999999', '24:00:00', '00:00:00.000001', '12:34:56.5';
my @stored_times = (@times, "'12:34'", "'12:34:56Z'", "'12:34:56.0000004'", 45296, '2451544.75');
our @uuids = map { "'$_'" } '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '7fffffff-0000-4000-8000-000000000001';
my @stored_uuids = (@uuids, "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'{a0eebc999c0b4ef8bb6d6bb9bd380a11}'",
	"'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11'", "x'a0eebc999c0b4ef8bb6d6bb9bd380a11'", "x'00000000000000000000000000000000'");
# no longer than five characters, blanks aside; numbers are read as their digits
our @shorts = (map { "'$_'" } '', 'a', 'ab', 'ab ', 'abcde', 'abcd ', 'ABCDE', "\x{e4}\x{f6}\x{fc}\x{df}\x{e9}", ' ', '     ',
	"\x{65e5}\x{672c}", '12', '1.5', 'ab!', "ab\t");
my @stored_shorts = (@shorts, map { "'$_'" } 'abcde  ', 'a         ', '          ');
our @singles = ('0.0', '-0.0', '0.1', '1.5', '-2.5', '16777217', '1e30', '-1e-30', '9e999', '-9e999', '100.25', 3);
our @numerics = (0, 1, -1, '0.5', '-0.25', '123456789', '1.5', '100', '99999999999999', '1.005', '-1.005', '0.1', '9.995',
	"'NaN'", "'Infinity'", "'-Infinity'");
my @stored_numerics = (@numerics, '1.0', '1e3', '9007199254740993', '1e20', '-1e-5', "' 1.50 '", "'0.30000000000000004'");
# of a TEXT column: as many digits, and zeros after them, as one likes
our @long_numerics = map { "'$_'" } '0', '0.00', '-0.0', '1', '1.0', '1.00', '12345678901234567890.12345678901234567890',
  '-12345678901234567890.1234567890123456789', '1e30', '1E-30', ' +5. ', '.5', '123456789012345678901234567890', 'nan', '-inf',
  '+Infinity';
my @prices = (0, '0.0', '0.005', '-0.005', '1.995', '99.99', '1234567.891', -5, '12', "'3.14159'");

# name, SQLite's declaration, type of the foreign column, values; * : the import finds another type; time_unit
my @columns = (
	[ 'i4', 'INT', 'bigint', \@bigs ],
	[ 's2', 'SMALLINT', 'integer', \@ints, '*' ],
	[ 'r8', 'DOUBLE PRECISION', 'double precision', \@reals ],
	[ 't1', 'TEXT', 'text', \@texts ],
	[ 't2', 'TEXT COLLATE NOCASE', 'text', \@texts ],
	[ 'v1', 'VARCHAR(20)', 'text', \@texts ],
	[ 'b1', 'BLOB', 'bytea', \@blobs ],
	[ 'f1', 'BOOLEAN', 'boolean', [ 0, 1 ] ],
	[ 'd1', 'DATE', 'date', \@stored_dates ],
	[ 'd2', 'TEXT', 'date', \@dates, '*' ],
	[ 'ts', 'TIMESTAMP', 'timestamp without time zone', \@stored_stamps ],
	[ 'ts0', 'DATETIME', 'timestamp(0) without time zone', \@stored_stamps, '*' ],
	[ 'um', 'INTEGER', 'timestamp without time zone', \@millis, '*', 'ms' ],
	[ 'uc', 'REAL', 'timestamp with time zone', \@coredata, '*', 'coredata' ],
	[ 'tz', 'TIMESTAMPTZ', 'timestamp with time zone', \@stored_stamps ],
	[ 'tm', 'TIME', 'time without time zone', \@stored_times ],
	[ 'u1', 'UUID', 'uuid', \@stored_uuids ],
	[ 'vn', 'VARCHAR(5)', 'character varying(5)', \@stored_shorts, '*' ],
	[ 'cn', 'CHAR(5)', 'character(5)', \@stored_shorts, '*' ],
	[ 'vs', 'STRING', 'text', [ @stored_shorts, 5, '1e15', '0.1' ], '*' ],
	[ 'r4', 'FLOAT', 'real', \@singles, '*' ],
	[ 'rn', 'DECIMAL(10,2)', 'double precision', [ @singles, '9007199254740993' ], '*' ],
	[ 'n1', 'NUMERIC(20,4)', 'numeric', \@stored_numerics ],
	[ 'nt', 'TEXT', 'numeric', \@long_numerics, '*' ],
	[ 'nx', 'TEXT', 'numeric', [ grep { !/n/i } @long_numerics ], '*' ],
	[ 'np', 'DECIMAL(10,2)', 'numeric(10,2)', \@prices, '*' ],
	[ 'k1', 'INTEGER', 'bigint', [ 0 .. 9 ] ],
	[ 'k2', 'TEXT', 'text', [ map { "'$_'" } 'x', 'y', 'z', 'X', 'Y' ] ],
);

sub column_names { return map { $_->[0] } @columns }

# "i4 bigint, s2 integer, ..." as PostgreSQL's catalog gives them
sub column_types { return join(', ', map { "$_->[0] $_->[2]" } @columns) }

# Whatever type the import finds, the queries are about these.
sub retyped_sql
{
	my ($schema) = @_;
	my $changes = join(', ', map { "ALTER $_->[0] TYPE $_->[2]" } grep { $_->[4] } @columns);
	$changes .= join('', map { ", ALTER $_->[0] OPTIONS (ADD time_unit '$_->[5]')" } grep { $_->[5] } @columns);
	return join('', map { "ALTER FOREIGN TABLE $schema.$_ $changes;\n" } qw(a b c w));
}

sub table_sql
{
	my ($name, $rows, $nulls) = @_;
	my $sql = "CREATE TABLE $name(id INTEGER PRIMARY KEY, " . join(', ', map { "$_->[0] $_->[1]" } @columns) . ");\n";
	for my $id (1 .. $rows)
	{
		$sql .= "INSERT INTO $name VALUES($id, " . join(', ', map { chance($nulls) ? 'NULL' : pick(@{ $_->[3] }) } @columns) . ");\n";
	}
	return $sql . "CREATE INDEX ${name}_k1 ON $name(k1); CREATE INDEX ${name}_k2 ON $name(k2, i4);\n"
	  . join('', map { "CREATE INDEX ${name}_$_ ON $name($_);\n" } qw(d1 d2 ts ts0 um uc tz u1 vn cn n1));
}

# The SQLite database, in UTF-8.
sub sqlite_setup
{
	my $sql = "PRAGMA encoding = 'UTF-8';\nBEGIN;\n" . table_sql('a', 120, 0.1) . table_sql('b', 60, 0.2) . table_sql('c', 0, 0);
	$sql .= 'CREATE TABLE w(id INT, ' . join(', ', map { "$_->[0] $_->[1]" } @columns) . ", PRIMARY KEY (id, k2)) WITHOUT ROWID;\n"
	  . "INSERT INTO w SELECT * FROM a WHERE k2 IS NOT NULL AND id % 3 = 0;\nCOMMIT;\nANALYZE;\n";
	utf8::encode($sql);
	return $sql;
}

# A constant of the type, as SQL.
sub literal
{
	my ($type) = @_;
	return 'NULL::' . $type if chance(0.03);
	return pick(@ints) if $type eq 'int4';
	return '(' . pick(@bigs) . ')::int8' if $type eq 'int8';
	return '(' . pick(@ints) . ')::int2' if $type eq 'int2';
	if ($type =~ /^float/)
	{
		my $r = pick($type eq 'float8' ? @reals : @singles, 'NaN');
		$r =~ s/9e999/Infinity/;
		return "'$r'::$type";
	}
	return pick(@texts) . '::text' if $type eq 'text';
	return "'\\x" . (pick(@blobs) =~ /'(.*)'/)[0] . "'::bytea" if $type eq 'bytea';
	return pick('true', 'false') if $type eq 'bool';
	return pick(@dates) . '::date' if $type eq 'date';
	return pick(@stamps) . "::$type" if $type =~ /^timestamp/;
	return pick(@times) . '::time' if $type eq 'time';
	return pick(@uuids) . '::uuid' if $type eq 'uuid';
	return pick(@shorts) . "::$type" if $type =~ /char/;
	return '(' . pick(@numerics, @numerics, @long_numerics) . ')::numeric' if $type eq 'numeric';
	die $type;
}

1;
