# What several of the TAP tests need.
package VssTest;

use strict;
use warnings;
use Exporter qw(import);
use IPC::Run ();

our @EXPORT = qw(sqlite sqlite_says patience);

# Run sqlite3 on a file, with each of the other arguments as a line of its
# input; UTF-8 in and out.  A reference to an array in front is a command that
# sqlite3 is run by.
sub run_sqlite
{
	my @prefix = ref $_[0] ? @{ shift() } : ();
	my ($file, @lines) = @_;
	my $input = join("\n", @lines) . ";\n";
	my ($out, $err) = ('', '');

	utf8::encode($input) if utf8::is_utf8($input);
	my $ok = IPC::Run::run([ @prefix, 'sqlite3', '-bail', '-init', '/dev/null', $file ], '<', \$input, '>', \$out, '2>', \$err);
	utf8::decode($_) for $out, $err;
	return ($out, $err, $ok);
}

# What sqlite3 prints; any error is the test's end.
sub sqlite
{
	my ($out, $err, $ok) = run_sqlite(@_);

	die "sqlite3: $err" if !$ok || $err ne '';
	chomp $out;
	return $out;
}

# What sqlite3 prints, and after it the error it ends with.
sub sqlite_says
{
	my ($out, $err) = run_sqlite(@_);

	chomp(my $said = $out . $err);
	return $said;
}

# A limit in seconds, made longer by as much as more want a processor than there
# are: tests must pass on a busy machine, too.
sub patience
{
	my ($seconds) = @_;

	open my $f, '<', '/proc/loadavg' or return $seconds;
	my ($load) = split ' ', <$f>;
	chomp(my $processors = `getconf _NPROCESSORS_ONLN`);
	my $factor = $load / ($processors || 1);
	return $factor > 1 ? $seconds * $factor : $seconds;
}

1;
