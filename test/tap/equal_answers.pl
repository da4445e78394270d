# Pushdown never changes an answer: random queries over foreign tables and over
# local copies of the same rows must agree to the last bit, in a database of
# collation C and in one of ICU's en-US.  The share of conditions, joins and
# aggregates that went down to SQLite must not fall below a bound either: where
# nothing is pushed, nothing is proved.
#
# EQUAL_QUERIES sets the number of queries a database (1500), EQUAL_SEED the
# seed of the generator.  A failing query is printed whole.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $queries = $ENV{EQUAL_QUERIES} // 1500;
my $seed = $ENV{EQUAL_SEED} // 20240607;
my $dir = PostgreSQL::Test::Utils::tempdir();
srand $seed;

sub pick { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }

# ---- the rows ----

# name, SQLite's declaration, PostgreSQL type that is imported, values
my @ints = (0, 1, -1, 2, 3, 5, 7, 10, -10, 100, 32767, -32768);
my @bigs = (@ints, 2147483647, -2147483648, 2147483648, '9223372036854775807', '-9223372036854775808', '9007199254740993');
my @reals = ('0.0', '-0.0', '1.0', '-1.0', '0.5', '1.5', '2.5', '-2.5', '0.1', '3.0', '1e300', '-1e300', '1e-300', '9e999', '-9e999', '9007199254740993.0', '100.25');
my @texts = (map { "'$_'" } '', 'a', 'A', 'b', 'B', 'ab', 'aB', 'Ab', 'abc', 'z', 'Z', ' ', ' a', 'a ', '_', '%', 'a%c', 'a_c', '\\', '10', '9', '1e1',
	"\x{e4}", "\x{c4}", "\x{e9}t\x{e9}", "\x{df}", 'ss', "\x{65e5}\x{672c}", "\x{1f41f}", "e\x{301}", "\x{130}", "\x{131}", 'i', 'I', "it''s", '"q"');
my @blobs = map { "x'$_'" } '', '00', '01', 'ff', '0000', '616263', '00ff', 'ff00';
my @bools = (0, 1);
# Dates and times as PostgreSQL writes them, then in SQLite's other spellings and forms.
my @dates = map { "'$_'" } '2024-02-29', '1999-12-31', '1970-01-01', '1969-12-31', '0001-01-01', '2000-01-01', '9999-12-31', '10000-01-01', '0044-03-15 BC', 'infinity', '-infinity';
my @stored_dates = (@dates, "' 2024-02-29 '", "'2024-02-29 00:00'", "'2024-02-29T00:00:00.000'", "'002024-02-29'", "'2024-02-29 00:00:00Z'", "'5874000-01-01'", "'Infinity'",
	0, -86400, 1709164800, 253402300800, '2460369.5', '2451544.5', '2440587.5', '0.5', '1709164800.0');
my @stamps = map { "'$_'" } '2024-02-29 12:34:56', '1999-12-31 23:59:59.999999', '1970-01-01 00:00:00', '1900-01-01 00:00:00', '2024-02-29 00:00:00', '2000-01-01 00:00:00', '1999-12-31 23:59:59.5',
	'0044-03-15 12:00:00 BC', '12024-02-29 01:02:03', '294276-12-31 23:59:59', 'infinity', '-infinity';
my @stored_stamps = (@stamps, "'2024-02-29'", "' 2024-02-29T12:34:56Z'", "'2024-02-29 14:34:56+02:00'", "'2024-02-29 24:00:00'", "'1999-12-31 23:59:59.9999996'", "'1999-12-31 23:59:59.4999999-15:59'",
	"'2024-02-29 12:34'", "'1969-12-31 23:59:59.999999'", 0, -1, 1709210096, 951782400, '2460370.02425926', '2451544.5', '1709210096.25', '-0.5', '5373484.0');
my @times = map { "'$_'" } '00:00:00', '12:34:56', '23:59:59.999999', '24:00:00', '00:00:00.000001', '12:34:56.5';
my @stored_times = (@times, "'12:34'", "'12:34:56Z'", "'12:34:56.0000004'", 45296, '2451544.75');
my @uuids = map { "'$_'" } '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '7fffffff-0000-4000-8000-000000000001';
my @stored_uuids = (@uuids, "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'{a0eebc999c0b4ef8bb6d6bb9bd380a11}'", "'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11'", "x'a0eebc999c0b4ef8bb6d6bb9bd380a11'", "x'00000000000000000000000000000000'");
# no longer than five characters, blanks aside; numbers are read as their digits
my @shorts = (map { "'$_'" } '', 'a', 'ab', 'ab ', 'abcde', 'abcd ', 'ABCDE', "\x{e4}\x{f6}\x{fc}\x{df}\x{e9}", ' ', '     ', "\x{65e5}\x{672c}", '12', '1.5', 'ab!', "ab\t");
my @stored_shorts = (@shorts, map { "'$_'" } 'abcde  ', 'a         ', '          ');
my @singles = ('0.0', '-0.0', '0.1', '1.5', '-2.5', '16777217', '1e30', '-1e-30', '9e999', '-9e999', '100.25', 3);
my @numerics = (0, 1, -1, '0.5', '-0.25', '123456789', '1.5', '100', '99999999999999', '1.005', '-1.005', '0.1', '9.995', "'NaN'", "'Infinity'", "'-Infinity'");
my @stored_numerics = (@numerics, '1.0', '1e3', '9007199254740993', '1e20', '-1e-5', "' 1.50 '", "'0.30000000000000004'");
# of a TEXT column: as many digits, and zeros after them, as one likes
my @long_numerics = map { "'$_'" } '0', '0.00', '-0.0', '1', '1.0', '1.00', '12345678901234567890.12345678901234567890', '-12345678901234567890.1234567890123456789', '1e30', '1E-30', ' +5. ', '.5', '123456789012345678901234567890', 'nan', '-inf', '+Infinity';
my @prices = (0, '0.0', '0.005', '-0.005', '1.995', '99.99', '1234567.891', -5, '12', "'3.14159'");

my @columns = (
	[ 'i4', 'INT', 'bigint', \@bigs ],
	[ 's2', 'SMALLINT', 'bigint', \@ints ],
	[ 'r8', 'DOUBLE PRECISION', 'double precision', \@reals ],
	[ 't1', 'TEXT', 'text', \@texts ],
	[ 't2', 'TEXT COLLATE NOCASE', 'text', \@texts ],
	[ 'v1', 'VARCHAR(20)', 'text', \@texts ],
	[ 'b1', 'BLOB', 'bytea', \@blobs ],
	[ 'f1', 'BOOLEAN', 'boolean', \@bools ],
	[ 'd1', 'DATE', 'date', \@stored_dates ],
	[ 'd2', 'TEXT', 'date', \@dates ],
	[ 'ts', 'TIMESTAMP', 'timestamp without time zone', \@stored_stamps ],
	[ 'ts0', 'DATETIME', 'timestamp(0) without time zone', \@stored_stamps ],
	[ 'tz', 'TIMESTAMPTZ', 'timestamp with time zone', \@stored_stamps ],
	[ 'tm', 'TIME', 'time without time zone', \@stored_times ],
	[ 'u1', 'UUID', 'uuid', \@stored_uuids ],
	[ 'vn', 'VARCHAR(5)', 'character varying(5)', \@stored_shorts ],
	[ 'cn', 'CHAR(5)', 'character(5)', \@stored_shorts ],
	[ 'vs', 'STRING', 'text', [ @stored_shorts, 5, '1e15', '0.1' ] ],
	[ 'r4', 'FLOAT', 'real', \@singles ],
	[ 'rn', 'DECIMAL(10,2)', 'double precision', [ @singles, '9007199254740993' ] ],
	[ 'n1', 'NUMERIC(20,4)', 'numeric', \@stored_numerics ],
	[ 'nt', 'TEXT', 'numeric', \@long_numerics ],
	[ 'nx', 'TEXT', 'numeric', [ grep { !/n/i } @long_numerics ] ],
	[ 'np', 'DECIMAL(10,2)', 'numeric(10,2)', \@prices ],
	[ 'k1', 'INTEGER', 'bigint', [ 0 .. 9 ] ],
	[ 'k2', 'TEXT', 'text', [ map { "'$_'" } 'x', 'y', 'z', 'X', 'Y' ] ],
);

sub table_sql
{
	my ($name, $rows, $nulls) = @_;
	my $sql = "CREATE TABLE $name(id INTEGER PRIMARY KEY, " . join(', ', map { "$_->[0] $_->[1]" } @columns) . ");\n";
	for my $id (1 .. $rows)
	{
		$sql .= "INSERT INTO $name VALUES($id, " . join(', ', map { chance($nulls) ? 'NULL' : pick(@{ $_->[3] }) } @columns) . ");\n";
	}
	return $sql . "CREATE INDEX ${name}_k1 ON $name(k1); CREATE INDEX ${name}_k2 ON $name(k2, i4);\n"
	  . join('', map { "CREATE INDEX ${name}_$_ ON $name($_);\n" } qw(d1 d2 ts ts0 tz u1 vn cn n1));
}

my $setup = "PRAGMA encoding = 'UTF-8';\nBEGIN;\n" . table_sql('a', 120, 0.1) . table_sql('b', 60, 0.2) . table_sql('c', 0, 0) . "COMMIT;\n";
utf8::encode($setup);
append_to_file("$dir/setup.sql", $setup);
system_or_bail('sqlite3', '-init', "$dir/setup.sql", "$dir/equal.db", 'ANALYZE');

# ---- the queries ----

my @from;    # aliases in scope

sub literal
{
	my ($type) = @_;
	return 'NULL::' . $type if chance(0.03);
	return pick(@ints) if $type eq 'int4';
	return '(' . pick(@bigs) . ')::int8' if $type eq 'int8';
	return '(' . pick(@ints) . ')::int2' if $type eq 'int2';
	if ($type eq 'float8')
	{
		my $r = pick(@reals, 'NaN');
		$r =~ s/9e999/Infinity/;
		return "'$r'::float8";
	}
	return pick(@texts) . '::text' if $type eq 'text';
	return "'\\x" . (pick(@blobs) =~ /'(.*)'/)[0] . "'::bytea" if $type eq 'bytea';
	return pick('true', 'false') if $type eq 'bool';
	return pick(@dates) . '::date' if $type eq 'date';
	return pick(@stamps) . "::$type" if $type =~ /^timestamp/;
	return pick(@times) . '::time' if $type eq 'time';
	return pick(@uuids) . '::uuid' if $type eq 'uuid';
	return pick(@shorts) . "::$type" if $type =~ /char/;
	if ($type eq 'float4')
	{
		my $r = pick(@singles, 'NaN');
		$r =~ s/9e999/Infinity/;
		return "'$r'::float4";
	}
	return '(' . pick(@numerics, @numerics, @long_numerics) . ')::numeric' if $type eq 'numeric';
	die $type;
}

my %column_of = (
	int8 => [ 'id', 'i4', 'k1', 's2' ],
	float8 => [ 'r8', 'r8', 'rn' ],
	float4 => ['r4'],
	text => [ 't1', 't2', 'v1', 'k2', 'vn', 'vs' ],
	varchar => ['vn'],
	bpchar => ['cn'],
	bytea => ['b1'],
	bool => ['f1'],
	date => [ 'd1', 'd2' ],
	timestamp => [ 'ts', 'ts0' ],
	timestamptz => ['tz'],
	time => ['tm'],
	uuid => ['u1'],
	numeric => [ 'n1', 'nt', 'nx', 'np' ],
);

my @units = ('year', 'month', 'day', 'hour', 'minute', 'week', 'quarter', 'decade', 'century', 'millennium', 'second', 'milliseconds', 'microseconds');
my @day_fields = ('year', 'month', 'day', 'week', 'quarter', 'decade', 'century', 'millennium', 'isoyear', 'dow', 'isodow', 'doy', 'epoch', 'julian');
my @clock_fields = ('hour', 'minute', 'second', 'milliseconds', 'microseconds', 'epoch');

my @intervals = map { "interval '$_'" } '1 day', '-1 day', '1 month', '-1 month', '1 year 1 month -1 day', '12:00', '-00:00:00.000001', '30 days 36:00', '-4800 years', '100 years', '0', '11 months 59 minutes', '290000 years', '5800000 years';

# A field and what it is of; the Julian day of a timestamp is one that PostgreSQL computes.
sub field
{
	my ($depth, @types) = @_;
	my $type = pick(@types ? @types : qw(date timestamp timestamptz time));
	my $field = pick($type eq 'date' ? @day_fields : $type eq 'time' ? @clock_fields : (@day_fields, @clock_fields));
	return ($field, value($type, $depth));
}

sub column
{
	my ($type) = @_;
	return literal($type) unless $column_of{$type};
	return pick(@from) . '.' . pick(@{ $column_of{$type} });
}

sub value
{
	my ($type, $depth) = @_;
	return column($type) if chance(0.45);
	return literal($type) if $depth <= 0 || chance(0.3);
	my $d = $depth - 1;
	my %form = (
		int4 => sub { pick(sub { pick('length', 'octet_length') . '(' . value('text', $d) . ')' }, sub { 'strpos(' . value('text', $d) . ', ' . value('text', $d) . ')' }, sub { 'length(' . value('bpchar', $d) . ')' }, sub { '(' . value('bool', $d) . ')::int' }, sub { literal('int4') }, sub { 'octet_length(' . value('bytea', $d) . ')' },
			sub { sprintf('extract(%s FROM %s)::int', pick('month', 'day', 'dow', 'doy', 'week', 'year'), value(pick('date', 'timestamp', 'timestamptz'), $d)) })->() },
		int8 => sub {
			pick(
				sub { '(' . value('int8', $d) . pick(' + ', ' - ', ' * ', ' / ', ' % ') . value(pick('int8', 'int2', 'int4'), $d) . ')' },
				sub { 'abs(' . value('int8', $d) . ')' },
				sub { '(- ' . value('int8', $d) . ')' },
				sub { '(' . value('int8', $d) . pick(' & ', ' | ', ' # ') . value('int8', $d) . ')' },
				sub { 'coalesce(' . value('int8', $d) . ', ' . value('int8', $d) . ')' },
				sub { 'CASE WHEN ' . condition($d) . ' THEN ' . value('int8', $d) . ' ELSE ' . value('int8', $d) . ' END' },
				sub { 'nullif(' . value('int8', $d) . ', ' . value('int8', $d) . ')' },
				sub { pick('greatest', 'least') . '(' . value('int8', $d) . ', ' . value('int8', $d) . ')' },
				sub { 'CASE ' . column('int8') . ' WHEN ' . literal('int8') . ' THEN ' . value('int8', $d) . ' WHEN ' . column('int8') . ' THEN 5 ELSE ' . value('int8', $d) . ' END' })->();
		},
		int2 => sub { literal('int2') },
		float8 => sub {
			pick(
				sub { '(' . value('float8', $d) . pick(' + ', ' - ', ' * ', ' / ') . value('float8', $d) . ')' },
				sub { pick('abs', 'round', 'floor', 'ceil', 'trunc', 'sign') . '(' . value('float8', $d) . ')' },
				sub { '(' . value('int8', $d) . ')::float8' }, sub { '(- ' . value('float8', $d) . ')' }, sub { '(' . value('float4', $d) . ')::float8' },
				sub { pick('greatest', 'least') . '(' . value('float8', $d) . ', ' . value('float8', $d) . ')' },
				sub { sprintf("date_part('%s', %s)", field($d)) },
				sub { 'coalesce(' . value('float8', $d) . ', ' . value('float8', $d) . ')' })->();
		},
		text => sub {
			pick(
				sub { '(' . value('text', $d) . ' || ' . value('text', $d) . ')' },
				sub { pick('lower', 'upper', 'trim', 'ltrim', 'rtrim', 'reverse') . '(' . value('text', $d) . ')' },
				sub { 'substr(' . value('text', $d) . ', ' . pick(-2 .. 4) . ', ' . pick(0 .. 4) . ')' },
				sub { 'replace(' . value('text', $d) . ', ' . value('text', $d) . ', ' . literal('text') . ')' },
				sub { 'coalesce(' . value('text', $d) . ', ' . value('text', $d) . ')' },
				sub { pick('left', 'right') . '(' . value('text', $d) . ', ' . pick(-2 .. 3, '(-2147483648)', 2147483647) . ')' },
				sub { pick('trim', 'ltrim', 'rtrim') . '(' . value('text', $d) . ', ' . literal('text') . ')' },
				sub { pick('greatest', 'least') . '(' . value('text', $d) . ' COLLATE "C", ' . value('text', $d) . ', ' . literal('text') . ')' },
				sub { 'CASE ' . value('text', $d) . ' WHEN ' . literal('text') . ' THEN ' . value('text', $d) . ' WHEN ' . value('text', $d) . " THEN 'x' ELSE " . column('text') . ' END' },
				sub { '(' . value('bpchar', $d) . ')::text' },
				sub { '(' . value('int8', $d) . ')::text' })->();
		},
		bytea => sub { column('bytea') },
		bool => sub { '(' . condition($d) . ')' },
		date => sub { pick(sub { column('date') }, sub { '(' . value('timestamptz', $d) . ')::date' }, sub { '(' . value('date', $d) . pick(' + ', ' - ') . pick(0, 1, 30, 365, 100000, 2000000000, 'NULL::int') . ')' }, sub { '(' . column('date') . ' + ' . column('int4') . '::int)' }, sub { sprintf("date_trunc('%s', %s)::date", pick(@units), column('date')) }, sub { '(' . value('timestamp', $d) . ')::date' }, sub { pick('greatest', 'least') . '(' . value('date', $d) . ', ' . value('date', $d) . ')' })->() },
		timestamp => sub {
			pick(
				sub { column('timestamp') },
				sub { 'coalesce(' . value('timestamp', $d) . ', ' . value('timestamp', $d) . ')' },
				sub { '(' . value(pick('date', 'timestamptz'), $d) . ')::timestamp' },
				sub { '(' . value(pick('date', 'timestamp'), $d) . pick(' + ', ' - ') . pick(@intervals) . ')' },
				sub { "date_trunc('" . pick(@units) . "', " . value('timestamp', $d) . ')' })->();
		},
		timestamptz => sub { pick(sub { column('timestamptz') }, sub { '(' . value('timestamptz', $d) . pick(' + ', ' - ') . pick(@intervals) . ')' }, sub { "date_trunc('" . pick(@units) . "', " . value(pick('timestamptz', 'date'), $d) . ')' }, sub { '(' . value('timestamp', $d) . ')::timestamptz' })->() },
		time => sub { pick(sub { column('time') }, sub { '(' . value(pick('timestamp', 'timestamptz'), $d) . ')::time' }, sub { 'nullif(' . value('time', $d) . ', ' . value('time', $d) . ')' })->() },
		uuid => sub { column('uuid') },
		varchar => sub { column('varchar') },
		bpchar => sub { pick(sub { column('bpchar') }, sub { 'coalesce(' . value('bpchar', $d) . ', ' . value('bpchar', $d) . ')' })->() },
		float4 => sub { column('float4') },
		numeric => sub {
			pick(sub { pick('greatest', 'least') . '(' . value('numeric', $d) . ', ' . value('numeric', $d) . ')' },
				sub { sprintf('extract(%s FROM %s)', field($d)) }, sub { sprintf('extract(%s FROM %s)', field($d)) },
				sub { '(' . value('numeric', $d) . pick(' + ', ' - ', ' * ') . value('numeric', $d) . ')' }, sub { 'round(' . value('numeric', $d) . ', 1)' },
				sub { '(' . value('int8', $d) . ')::numeric' }, sub { 'coalesce(' . value('numeric', $d) . ', ' . value('numeric', $d) . ')' })->();
		},
	);
	return $form{$type}->();
}

my @types = qw(int8 int8 int8 int8 int2 float8 float8 float4 text text text text varchar bpchar bytea bool date date timestamp timestamp timestamptz time uuid numeric numeric numeric);

sub condition
{
	my ($depth) = @_;
	my $d = $depth - 1;
	my $type = pick(@types);

	if ($depth > 0 && chance(0.35))
	{
		my $op = pick(' AND ', ' OR ');
		my $c = '(' . condition($d) . $op . condition($d) . ')';
		return chance(0.2) ? "NOT $c" : $c;
	}
	return pick(
		sub { value($type, $d) . pick(' = ', ' <> ', ' < ', ' <= ', ' > ', ' >= ') . value($type, $d) },
		sub { column($type) . pick(' = ', ' < ', ' >= ') . literal($type) },
		sub { column($type) . pick(' = ', ' <> ', ' < ', ' <= ', ' > ', ' >= ') . literal($type) },
		sub { value($type, $d) . pick(' IS NULL', ' IS NOT NULL') },
		sub { column($type) . pick(' IN (', ' NOT IN (') . join(', ', map { literal($type) } 1 .. pick(1 .. 4)) . ')' },
		sub { column('int8') . ' = ANY(ARRAY[' . join(', ', map { literal('int8') } 1 .. 3) . '])' },
		sub { column($type) . ' BETWEEN ' . literal($type) . ' AND ' . literal($type) },
		sub { value($type, $d) . pick(' IS DISTINCT FROM ', ' IS NOT DISTINCT FROM ') . value($type, $d) },
		sub { column('text') . pick(' LIKE ', ' NOT LIKE ', ' ILIKE ') . pick("'%a%b%'", "'_a%'", "'%\\_c'", "'\\\\'", "'%\\'", "'a\x{304}%'", "'_\x{301}'", "'a%'", "'%b'", "'_'", "'%'", "'A\\%c'", "'%\x{e4}%'", "''") },
		sub { 'starts_with(' . value('text', $d) . ', ' . value('text', $d) . ')' },
		sub { 'CASE ' . column('date') . ' WHEN ' . literal('date') . ' THEN ' . column('bool') . ' WHEN ' . column('date') . ' THEN ' . condition($d) . ' END' },
		sub { '(' . column('text') . ' COLLATE "C")' . pick(' LIKE ', ' ILIKE ', ' NOT ILIKE ') . pick("'A%'", "'%B_'", "'%\x{c4}%'", "'_'", "'%a%'") },
		sub { pick('lower', 'upper') . '(' . value('text', $d) . ' COLLATE "C")' . pick(' = ', ' <> ', ' < ') . literal('text') },
		sub { 'length(' . value('text', $d) . ')' . pick(' = ', ' > ') . pick(0 .. 3) },
		sub { column('int8') . pick(' / ', ' % ') . pick(2, -2, 3, 7, 10, '(-3)') . pick(' = ', ' < ') . literal('int4') },
		sub { 'CASE WHEN ' . condition($d) . ' THEN ' . column('bool') . (chance(0.7) ? ' ELSE ' . condition($d) : '') . ' END' },
		sub { column('bool') . pick('', ' IS TRUE', ' IS NOT TRUE', ' IS UNKNOWN', ' = true') },
		sub { column('text') . pick(' = ', ' < ', ' >= ') . literal('text') . pick('', ' COLLATE "C"') },
		sub { column('int8') . pick(' = ', ' < ') . column('int8') },
		sub { column('float8') . pick(' = ', ' < ', ' > ') . column('int8') },
		sub { column('timestamp') . pick(' = ', ' <> ', ' < ', ' <= ', ' > ', ' >= ') . pick(sub { column('date') }, sub { literal('date') })->() },
		sub { column('date') . pick(' = ', ' <> ', ' < ', ' >= ') . pick(sub { column('timestamp') }, sub { literal('timestamp') })->() },
		sub { pick(sub { column('timestamptz') }, sub { literal('timestamptz') })->() . pick(' = ', ' < ', ' >= ') . pick(sub { column('timestamp') }, sub { column('date') }, sub { literal('date') }, sub { literal('timestamp') })->() },
		sub { column('float4') . pick(' = ', ' < ', ' >= ') . pick(sub { column('float8') }, sub { literal('float8') })->() },
		sub { column('bpchar') . pick(' = ', ' <> ', ' < ', ' > ') . pick(sub { column('varchar') }, sub { column('text') }, sub { literal('bpchar') . ' COLLATE "C"' })->() },
		sub { sprintf('extract(%s FROM %s)', field(0)) . pick(' = ', ' <> ', ' < ', ' >= ') . pick(0, 1, 2, 3, 12, 29, 2024, 1999, '56.5', -44, '1709164800') },
		sub { sprintf("date_part('%s', %s)", field(0)) . pick(' = ', ' < ', ' >= ') . pick(0, 1, 2, 3, 12, 2024, 1999, '59.5') },
		# infinite dates fail, in a join for more rows in one plan than in another
		sub { return column('date') . ' IS NOT NULL' if @from > 1; '(' . value('date', 0) . ' - ' . value('date', 0) . ')' . pick(' > ', ' <= ', ' = ') . pick(0, 30, -1, 365) },
		sub { my $t = pick('date', 'timestamp', 'timestamptz'); column($t) . pick(' + ', ' - ') . pick(@intervals) . pick(' < ', ' >= ', ' = ') . literal(pick('date', 'timestamp', 'timestamptz')) },
		sub { sprintf("date_trunc('%s', %s)", pick(@units), column(pick('date', 'timestamp', 'timestamptz'))) . pick(' = ', ' < ', ' >= ') . literal(pick('date', 'timestamp', 'timestamptz')) },
		sub { column('numeric') . pick(' = ', ' <> ', ' < ', ' >= ') . pick(sub { column('int8') }, sub { literal('int8') }, sub { literal('int4') })->() },
		sub { 'EXISTS (SELECT 1 FROM b e WHERE e.k1 = ' . column('int8') . ')' },
		sub { column('int8') . pick(' IN ', ' NOT IN ') . "(SELECT k1 FROM b WHERE k2 = 'x' AND k1 IS NOT NULL)" },
	)->();
}

sub outputs
{
	my ($n) = @_;
	return join(', ', map { value(pick(@types), 1) } 1 .. $n);
}

# Each maker returns [kind, query, whether rows come in one certain order].
sub scan_query
{
	@from = (pick('a', 'a', 'b', 'c'));
	return [ 'scan', "SELECT $from[0].id, " . outputs(2) . " FROM $from[0] WHERE " . condition(2), 0 ];
}

sub plain_scan_query
{
	@from = ('a');
	my $type = pick(qw(int8 int8 int2 text bytea bool float8 float4 varchar bpchar date timestamp timestamptz time uuid numeric numeric));
	my $c = column($type) . pick(' = ', ' <> ', ' = ') . literal($type);
	$c .= ' AND ' . column('int8') . pick(' < ', ' >= ', ' <> ') . literal('int8') if chance(0.5);
	return [ 'plain', "SELECT id, t1 FROM a WHERE $c", 0 ];
}

# Conditions that reach indexes on columns which compare through a reader.
sub bounds_query
{
	@from = ('a');
	my $type = pick(qw(date date timestamp timestamp timestamptz uuid varchar bpchar numeric numeric));
	my $column = column($type);
	my $value = literal($type);
	my $c = $type eq 'numeric' ? pick("$column = $value", "$column BETWEEN $value AND " . literal($type), "$column > $value", "$column BETWEEN least($value, 1) AND greatest($value, 0)")
	  : $type =~ /^(date|timestamp)/
	  ? pick("$column = $value", "$column >= $value AND $column < " . literal($type), "$column BETWEEN " . literal(pick('date', $type)) . ' AND ' . literal(pick('date', $type)),
		"$value < $column", "$column >= " . literal('date'))
	  : pick("$column = $value", "$value = $column");
	$c = "NOT ($c)" if chance(0.1);
	$c .= pick(' AND ', ' OR ') . condition(0) if chance(0.2);
	return [ 'bounds', "SELECT id FROM a WHERE $c", 0 ];
}

sub join_query
{
	@from = ('a', 'b');
	my $join = pick('JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
	my $on = pick('a.k1 = b.k1', 'a.d1 = b.d1', 'a.u1 = b.u1 AND a.id < 90', 'a.ts >= b.d1 AND a.k1 = b.k1', 'a.id = b.id', 'a.id = b.k1', 'a.k2 = b.k2 AND a.k1 = b.k1', 'a.k1 = b.k1 AND b.i4 > 0', 'a.t1 = b.t1', 'a.t2 = b.t1');
	my $where = chance(0.6) ? ' WHERE ' . condition(1) : '';
	if (chance(0.25))
	{
		# conditions of the sides, tested before a full join
		my $left = pick('a', '(SELECT * FROM a WHERE ' . pick('k1 < 6', 'id > 40', 'k2 = \'x\'', 'i4 IS NOT NULL') . ') a');
		my $right = pick('b', '(SELECT * FROM b WHERE ' . pick('k1 > 2', 'id < 30', 't1 IS NOT NULL', 'k2 <> \'y\'') . ') b');
		my $list = chance(0.5) ? 'a.id, b.id AS b_id, coalesce(a.k1, b.k1) AS k' : 'count(*), count(a.id), count(b.id), max(a.i4)';
		return [ 'full', "SELECT $list FROM $left FULL JOIN $right ON $on$where", 0 ];
	}
	return [ 'join', "SELECT a.id, b.id, " . (chance(0.2) ? pick('a', 'b', 'a, b', 'b IS NULL AS n, b') : outputs(1)) . " FROM a $join b ON $on$where", 0 ];
}

sub aggregate_query
{
	@from = ('a');
	my @aggregates = ('count(*)', 'count(i4)', 'count(DISTINCT k1)', 'sum(s2)', 'sum(k1)', 'min(i4)', 'max(i4)', 'min(t1)', 'max(t2)', 'min(r8)', 'max(d1)', 'min(d2)', 'max(ts)', 'min(ts0)', 'max(tz)', 'min(tm)', 'max(r4)', 'count(DISTINCT d1)', 'count(DISTINCT u1)', 'count(DISTINCT cn)', 'max(vn)',
		'avg(k1)', 'sum(i4)', 'avg(s2)', 'bool_and(f1)', 'sum(n1)', 'sum(nt)', 'sum(nx)', 'avg(nx)', 'sum(nx) FILTER (WHERE k1 < 4)', 'sum(np)', 'avg(n1)', 'avg(np)', 'max(n1)', 'min(np)', 'count(DISTINCT nt)', 'max(extract(second FROM ts))', 'min(extract(epoch FROM tz))', 'count(DISTINCT extract(year FROM d1))', "max(date_trunc('week', d2))", "max(date_part('epoch', ts))", 'sum(np) FILTER (WHERE np < 100)', 'min(ts)', 'count(*) FILTER (WHERE k1 > 3)', 'sum(k1) FILTER (WHERE f1)');
	my $list = join(', ', map { pick(@aggregates) } 1 .. pick(1 .. 3));
	my $where = chance(0.5) ? ' WHERE ' . pick('k1 < 5', 'id > 30', 'i4 IS NOT NULL', condition(1)) : '';
	return [ 'aggregate', "SELECT $list FROM a$where", 0 ] if chance(0.4);
	my $by = pick('k1', 'k2', 'f1', 't2', 'k1, k2', 's2', 'd1', 'ts', 'tz', 'u1', 'vn', 'cn', 'tm, k1', 'n1', 'np', "date_trunc('month', ts)", 'ts0::date',
		sprintf("date_trunc('%s', %s)", pick(@units), pick('d1', 'd2', 'tz', 'ts')), pick('tz::date', 'ts::time', "date_trunc('month', d2)::date", "ts + interval '1 month'", "tz - interval '1 day 1 hour'", "d2 + 1"),
		sprintf('extract(%s FROM %s)', field(0)), sprintf("date_part('%s', %s)", field(0)), sprintf('extract(%s FROM %s)::int', pick('year', 'month', 'dow'), pick('ts', 'tz', 'd1', 'd2')));
	my $having = chance(0.3) ? ' HAVING ' . pick('count(*) > 2', 'max(k1) > 3', 'sum(k1) IS NOT NULL', "max(d2) > '2000-01-01'", 'min(ts) < max(ts0)', 'sum(np) > 10', 'sum(i4) < 5.5') : '';
	return [ 'group', "SELECT $by, $list FROM a$where GROUP BY $by$having", 0 ];
}

sub order_query
{
	@from = ('a');
	my @order = map { pick('i4', 's2', 'k1', 't1', 't2', 'r8', 'f1', 'd1', 'k2', 'b1', 'ts', 'ts0', 'tz', 'tm', 'u1', 'r4', 'cn COLLATE "C"', 'vn COLLATE "C"', 'd2', 'n1', 'nt', 'np', 'extract(doy FROM d1)', "date_part('second', ts)", "date_trunc('year', tz)", 'extract(epoch FROM tm)') . pick('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST') } 1 .. pick(1 .. 2);
	my $limit = chance(0.6) ? ' LIMIT ' . pick(0, 1, 5, 1000) . (chance(0.4) ? ' OFFSET ' . pick(0, 3, 500) : '') : '';
	my $where = chance(0.5) ? ' WHERE ' . condition(1) : '';
	return [ 'order', "SELECT id, t1 FROM a$where ORDER BY " . join(', ', @order) . ", id$limit", 1 ];
}

sub distinct_query
{
	@from = ('a');
	return [ 'distinct', 'SELECT DISTINCT ' . join(', ', map { pick('k1', 'k2', 't2', 'f1', 's2', 'r8', 'b1', 'd1', 'ts', 'u1', 'vn', 'cn', 'n1', 'np') } 1 .. 2) . ' FROM a WHERE ' . condition(1), 0 ];
}

# LIMIT is certain only above an order that decides.
sub limit_query
{
	my $limit = pick(
		' LIMIT ' . pick(0, 1, 3, 7, 1000, 'NULL', 'NULL::int', '-1', '(SELECT 3)', '(SELECT NULL::int)', '(SELECT -2)', '2 + 1', 'ALL'),
		' OFFSET ' . pick(0, 2, 500, 'NULL', '-1', '(SELECT 2)'),
		' LIMIT ' . pick(2, 5, '(SELECT 4)', 'NULL') . ' OFFSET ' . pick(0, 1, 3, 500, '(SELECT 2)', '(SELECT NULL::int)', '(SELECT -1)', 'NULL'),
		' FETCH FIRST ' . pick(1, 4) . ' ROWS ' . pick('ONLY', 'WITH TIES'));
	my $down = pick('', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST');
	return pick(
		sub {
			@from = ('a');
			return [ 'limit', 'SELECT id, ' . outputs(1) . ' FROM a' . (chance(0.5) ? ' WHERE ' . condition(1) : '') . " ORDER BY " . pick('', 'k1, ', 'i4 DESC, ', 'k2 COLLATE "C", ') . "id$down$limit", 1 ];
		},
		sub { return [ 'limit', "SELECT k1, count(*) AS c, max(i4) FROM a GROUP BY k1 ORDER BY " . pick('', 'c DESC, ', 'max(s2), ', 'sum(np) DESC, ', 'max(d1), ') . "k1$down$limit", 1 ] },
		sub { return [ 'limit', "SELECT DISTINCT k1, f1 FROM a ORDER BY f1::int, k1$down$limit", 1 ] if chance(0.2); return [ 'limit', "SELECT DISTINCT k1, s2 FROM a ORDER BY s2, k1$down$limit", 1 ] },
		sub { return [ 'limit', "SELECT a.id, b.id AS b_id, b.t1 FROM a " . pick('JOIN', 'LEFT JOIN') . " b ON a.k1 = b.k1 ORDER BY a.id, b.id$down$limit", 1 ] },
		sub { return [ 'limit', "SELECT id, row_number() OVER (ORDER BY id) FROM a ORDER BY id$limit", 1 ] },
		sub { return [ 'limit', "SELECT a.id, x.id AS x_id FROM a, LATERAL (SELECT id FROM b WHERE b.k1 = a.k1 ORDER BY b.id$down$limit) x WHERE a.id < 30 ORDER BY 1, 2", 1 ] })->();
}

my @makers = ((\&scan_query) x 4, (\&plain_scan_query) x 2, (\&bounds_query) x 2, (\&join_query) x 3, (\&aggregate_query) x 2, (\&order_query) x 2, \&distinct_query, (\&limit_query) x 2);

# ---- comparing, within the server ----

my $harness = q{
	CREATE TABLE outcome(n int, kind text, query text, same bool, pushed bool, errors bool, detail text);
	-- the rows as text, sorted unless their order is certain; or the error
	CREATE FUNCTION answer(schema text, query text, ordered bool, OUT result text, OUT failed bool) LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM set_config('search_path', schema || ', public', true);
		EXECUTE format('SELECT coalesce(string_agg(x::text, E''\n'' %s), '''') FROM (%s) x',
			CASE WHEN ordered THEN '' ELSE 'ORDER BY x::text COLLATE "C"' END, query) INTO result;
		failed := false;
	EXCEPTION WHEN OTHERS THEN
		result := SQLSTATE || ' ' || SQLERRM;
		failed := true;
	END $$;
	-- whether PostgreSQL itself filters, joins or aggregates
	CREATE FUNCTION is_pushed(query text, kind text) RETURNS bool LANGUAGE plpgsql AS $$
	DECLARE line text;
	BEGIN
		PERFORM set_config('search_path', 'f, public', true);
		FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
			IF line ~ 'Filter:|SubPlan' THEN RETURN false; END IF;
			IF kind IN ('join', 'full') AND line ~ '^\s*(->\s+)?(Nested Loop|Merge|Hash) ?' THEN RETURN false; END IF;
			IF kind IN ('aggregate', 'group') AND line ~ '^\s*(->\s+)?((Hash|Group|Mixed)?Aggregate|Group$)' THEN RETURN false; END IF;
			IF kind = 'order' AND line ~ '^\s*(->\s+)?(Incremental )?Sort$' THEN RETURN false; END IF;
			IF kind = 'limit' AND line ~ '^\s*(->\s+)?(Limit|(Incremental )?Sort)$' THEN RETURN false; END IF;
			IF kind = 'distinct' AND line ~ '^\s*(->\s+)?(Unique|(Hash|Group|Mixed)?Aggregate)' THEN RETURN false; END IF;
		END LOOP;
		RETURN true;
	EXCEPTION WHEN OTHERS THEN RETURN NULL;
	END $$;
	CREATE PROCEDURE compare(n int, kind text, query text, ordered bool) LANGUAGE plpgsql AS $$
	DECLARE l record; f record;
	BEGIN
		SELECT * INTO l FROM answer('l', query, ordered);
		SELECT * INTO f FROM answer('f', query, ordered);
		-- Which of several conditions is evaluated first is nobody's promise, so a
		-- row that makes one of them fail may be gone before it is.
		INSERT INTO outcome VALUES (n, kind, query, (l.failed AND NOT f.failed) OR l.result = f.result OR (l.failed AND f.failed),
			is_pushed(query, kind), l.failed, format(E'local: %s\nforeign: %s', left(l.result, 1500), left(f.result, 1500)));
	END $$;
};

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "max_parallel_workers_per_gather = 0\nlog_min_messages = fatal\njit = off\n");
$node->start;
$node->safe_psql('postgres', q{CREATE DATABASE icu TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'});

# Shares that must at least go down; see the kinds above.
my %bound = (scan => 0.65, plain => 0.83, bounds => 0.8, join => 0.32, full => 0.4, aggregate => 0.7, group => 0.58, order => 0.38, distinct => 0.55, limit => 0.3);

# Types that the import takes wider than declared, or finds otherwise.
my $retyped = '';
for my $table ('a', 'b', 'c')
{
	$retyped .= "ALTER FOREIGN TABLE f.$table " . join(', ', map { "ALTER $_->[0] TYPE $_->[2]" } grep { $_->[0] =~ /^(d2|ts0|vn|cn|vs|r4|rn|nt|nx|np)$/ } @columns) . ";\n";
}

for my $database ('postgres', 'icu')
{
	$node->safe_psql($database, qq{
		CREATE EXTENSION vss_fdw;
		CREATE SERVER equal FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$dir/equal.db');
		CREATE SCHEMA f; CREATE SCHEMA l;
		ALTER DATABASE $database SET timezone = 'America/New_York'; SET timezone = 'America/New_York';
		IMPORT FOREIGN SCHEMA main FROM SERVER equal INTO f;
		$retyped
		CREATE TABLE l.a AS SELECT * FROM f.a; CREATE TABLE l.b AS SELECT * FROM f.b; CREATE TABLE l.c AS SELECT * FROM f.c;
		ALTER TABLE l.a ADD PRIMARY KEY (id); ALTER TABLE l.b ADD PRIMARY KEY (id); ANALYZE l.a; ANALYZE l.b; ANALYZE f.a; ANALYZE f.b;
		$harness});
	is($node->safe_psql($database, q{SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
			FROM pg_attribute WHERE attrelid = 'f.a'::regclass AND attnum > 1}),
		join(', ', map { "$_->[0] $_->[2]" } @columns),
		"$database: the columns have the types that the queries assume");

	my $script = '';
	for my $n (1 .. $queries)
	{
		my ($kind, $query, $ordered) = @{ pick(@makers)->() };
		$script .= "CALL compare($n, '$kind', \$q\$$query\$q\$, " . ($ordered ? 'true' : 'false') . ");\n";
	}
	utf8::encode($script);
	$node->safe_psql($database, $script);

	is($node->safe_psql($database, 'SELECT count(*) FROM outcome'), $queries, "$database: all queries ran");
	my $wrong = $node->safe_psql($database, q{SELECT string_agg(format(E'%s %s\n%s', n, query, detail), E'\n\n' ORDER BY length(query))
			FROM (SELECT * FROM outcome WHERE same IS NOT TRUE ORDER BY length(query) LIMIT 10) o});
	is($wrong, '', "$database: foreign and local answers agree (EQUAL_SEED=$seed)");
	my $failed = $node->safe_psql($database, 'SELECT round(avg(errors::int), 2) FROM outcome');
	cmp_ok($failed, '<', 0.5, "$database: most queries have an answer (share that is an error: $failed)");
	for my $kind (sort keys %bound)
	{
		my ($share, $count) = split /\|/, $node->safe_psql($database, "SELECT round(avg(pushed::int), 3), count(*) FROM outcome WHERE kind = '$kind' AND NOT errors");
		cmp_ok($share, '>=', $bound{$kind}, "$database: $kind pushed whole in a share of $share of $count queries");
	}
}

$node->stop;
done_testing();
