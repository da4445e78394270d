use strict;
use warnings;
use DBI;
use DBD::SQLite;

my ($hnsw, $database, $steps) = @ARGV;

sub connection
{
	my $db = DBI->connect("dbi:SQLite:dbname=$database", '', '', { RaiseError => 1, PrintError => 0 });
	$db->sqlite_enable_load_extension(1);
	$db->sqlite_load_extension($hnsw);
	return $db;
}

my $db = connection();

# Numbers are bound as numbers only when they are said to be.
sub show
{
	my ($sql, $value, $type) = @_;
	my $stmt = $db->prepare($sql);
	if (defined $value)
	{
		$stmt->bind_param(1, $value, $type);
		$stmt->bind_param(2, 3, DBI::SQL_INTEGER());
	}
	$stmt->execute;
	print join(' ', map { $_->[0] } @{ $stmt->fetchall_arrayref }), "\n";
}

open my $in, '<', $steps or die $!;
while (<$in>)
{
	chomp;
	my ($op, $a, $b) = split /\t/;
	if ($op eq 'E') { $db->do($a) }
	elsif ($op eq 'Q') { show($a) }
	elsif ($op eq 'B') { show($b, pack('H*', $a), DBI::SQL_BLOB()) }
	elsif ($op eq 'T') { show($b, $a, DBI::SQL_VARCHAR()) }
	elsif ($op eq 'F')
	{
		eval { show($b, pack('H*', $a), DBI::SQL_BLOB()) };
		print $@ =~ /dimensions/ ? "refused\n" : "$@\n";
	}
	elsif ($op eq 'C') { $db->disconnect; $db = connection() }
}
$db->disconnect;
