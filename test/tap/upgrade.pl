# ALTER EXTENSION UPDATE from each earlier version leaves the same objects as
# CREATE EXTENSION does.  They are compared as pg_dump --binary-upgrade writes
# them, which dumps the members of an extension, too: definitions, privileges and
# comments.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('upgrade');
$node->init;
$node->start;

# The statements that make what is in the database, without the ids that only
# this database has.
sub definitions
{
	my ($database) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir . "/$database.sql";

	system_or_bail('pg_dump', '--binary-upgrade', '--schema-only', '-d', $node->connstr($database), '-f', $file);
	my @statements;
	for (split /;\n/, slurp_file($file))
	{
		s/^(--.*|\\.*|)\n//mg;
		push @statements, $_ unless /binary_upgrade_set_/ || !/\S/;
	}
	return join("\n", sort @statements);
}

sub database_with
{
	my ($name, $sql) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, $sql);
}

database_with('fresh', 'CREATE EXTENSION vss_fdw');
my $fresh = definitions('fresh');
like($fresh, qr/CREATE $_ /, "what is compared has each $_") for 'FUNCTION', 'TYPE', 'OPERATOR', 'AGGREGATE', 'CAST';

database_with('again', 'CREATE EXTENSION vss_fdw');
is(definitions('again'), $fresh, 'two fresh installations are equal');
for my $change ('ALTER FUNCTION vss_dims(vss_vector) COST 77', 'REVOKE EXECUTE ON FUNCTION vss_dims(vss_vector) FROM PUBLIC',
	'ALTER EXTENSION vss_fdw DROP FUNCTION vss_dims(vss_vector)')
{
	$node->safe_psql('again', $change);
	isnt(definitions('again'), $fresh, "noticed: $change");
}

my $versions = $node->safe_psql('postgres', q{
	SELECT version FROM pg_available_extension_versions v JOIN pg_extension_update_paths('vss_fdw') p ON p.source = v.version
	WHERE v.name = 'vss_fdw' AND p.path IS NOT NULL AND
		p.target = (SELECT default_version FROM pg_available_extensions WHERE name = 'vss_fdw')});
for my $version (split /\n/, $versions)
{
	(my $name = "from_$version") =~ s/\W/_/g;
	database_with($name, "CREATE EXTENSION vss_fdw VERSION '$version'; ALTER EXTENSION vss_fdw UPDATE");
	is(definitions($name), $fresh, "an update from $version leaves what a fresh installation makes");
}

$node->stop;
done_testing();
