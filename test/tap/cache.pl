# How much of a database a connection keeps in its cache: all of one up to 64 MiB,
# little of a larger one, or what the server's option says.  Told by what the
# backend reads from files when a query comes again.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('cache');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION vss_fdw');

# MiB that a connection reads while it counts the rows a second time
sub read_again
{
	my ($mib, $options) = @_;
	my $database = PostgreSQL::Test::Utils::tempdir . "/$mib.db";

	system_or_bail('sqlite3', $database, "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB);
		WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $mib * 1024)
		INSERT INTO t SELECT i, zeroblob(1000) FROM n") unless -e $database;
	$node->safe_psql('postgres', "DROP SERVER IF EXISTS s CASCADE;
		CREATE SERVER s FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$database'$options);
		IMPORT FOREIGN SCHEMA main FROM SERVER s INTO public");
	my $bytes = q{SELECT regexp_match(pg_read_file('/proc/self/io'), 'rchar: (\d+)')};
	my @rchar = $node->safe_psql('postgres', "SELECT count(*) FROM t; $bytes; SELECT count(*) FROM t; $bytes") =~ /\{(\d+)\}/g;
	return ($rchar[1] - $rchar[0]) / 1024 / 1024;
}

cmp_ok(read_again(20, ''), '<', 1, 'a small database is read once');
cmp_ok(read_again(20, ", cache_size '-2000'"), '>', 15, 'again with a smaller cache');
cmp_ok(read_again(80, ''), '>', 65, 'so is a large one: its cache is small');
cmp_ok(read_again(80, ", cache_size '-100000'"), '<', 1, 'unless the option says more');

done_testing();
