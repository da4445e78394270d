#!/usr/bin/perl
#
# server.pl: an embedding server for tests.  It speaks Ollama's POST /api/embed
# and OpenAI's POST /v1/embeddings with vectors that are a function of the text
# alone, and can be told to fail in every way such servers are known to.
#
#	server.pl PORTFILE [SECONDS]
#
# listens on a free port of 127.0.0.1, writes its number to PORTFILE, and ends
# after SECONDS (600), or on SIGTERM.
#
#	POST /control	{"mode": NAME, "times": N, ...}: the next N requests
#					(0: all) fail that way; see %modes below
#	POST /reset		forget modes and the log
#	GET  /log		{"connections", "requests": [{"path", "connection", "count",
#					"model", "authorization", "encoding_format", "dimensions"}]}
#
# A text's vector is the sum of one pseudo-random direction for each of its
# words, scaled to length one: texts that share words are near one another.  The
# model's name gives the dimension: "test-8" has 8, every other 384; a name with
# "missing" in it is not there.
use strict;
use warnings;
use Digest::MD5 qw(md5);
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(time);

my ($portfile, $lifetime) = @ARGV;
die "usage: server.pl PORTFILE [SECONDS]\n" unless defined $portfile;
my $end = time() + ($lifetime // 600);

$SIG{PIPE} = 'IGNORE';

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64, ReuseAddr => 1)
	or die "cannot listen: $!\n";
my $select = IO::Select->new($listener);

my %client;    # fileno => {socket, in, number}
my @later;     # [time, code]: what is to be done when
my ($connections, @log, %mode);

sub reset_all
{
	($connections, @log) = (0);
	%mode = (mode => '', times => 0);
}
reset_all();

sub direction
{
	my ($word, $dim) = @_;
	my @v;
	for (my $i = 0; @v < $dim; $i++)
	{
		push @v, map { $_ / 32768 - 1 } unpack('v*', md5("$i $word"));
	}
	return @v[ 0 .. $dim - 1 ];
}

sub embedding
{
	my ($text, $dim) = @_;
	my @sum = (0) x $dim;
	utf8::encode($text) if utf8::is_utf8($text);
	for my $word (grep { length } split /[\s[:punct:]]+/, lc $text)
	{
		my @v = direction($word, $dim);
		$sum[$_] += $v[$_] for 0 .. $dim - 1;
	}
	@sum = direction($text, $dim) unless grep { $_ } @sum;
	my $norm = 0;
	$norm += $_ * $_ for @sum;
	return map { 0 + sprintf('%.8g', $_ / sqrt $norm) } @sum;
}

sub send_all
{
	my ($c, $bytes) = @_;
	$c->{socket}->blocking(1);
	return print { $c->{socket} } $bytes;
}

sub hang_up
{
	my ($c) = @_;
	return unless $c->{socket};
	$select->remove($c->{socket});
	delete $client{ fileno $c->{socket} };
	close $c->{socket};
	$c->{socket} = undef;
}

sub answer
{
	my ($c, $status, $body, @headers) = @_;
	$body = $json->encode($body) if ref $body;
	send_all($c, join "\r\n", "HTTP/1.1 $status X", "Content-Type: application/json",
		'Content-Length: ' . length($body), @headers, '', $body);
}

sub fail_text
{
	my ($api, $text) = @_;
	return $api eq 'ollama' ? { error => $text } : { error => { message => $text, type => 'x', code => undef } };
}

# What each mode makes of the right answer.  $mode{...} are the control's fields.
my %modes = (
	# an error of status "status" with the text "text", "retry_after" as header
	status => sub {
		my ($c, $api) = @_;
		my @h = defined $mode{retry_after} ? "Retry-After: $mode{retry_after}" : ();
		answer($c, $mode{status}, defined $mode{text} ? fail_text($api, $mode{text}) : '', @h);
	},
	redirect  => sub { answer($_[0], 302, '', 'Location: http://127.0.0.1:1/') },
	drop      => sub { hang_up($_[0]) },
	malformed => sub { answer($_[0], 200, '{"embeddings": [[0.1, oops') },
	nan       => sub { answer($_[0], 200, $_[1] eq 'ollama' ? '{"embeddings": [[NaN, 1]]}' : '{"data": [{"index": 0, "embedding": [NaN, 1]}]}') },
	infinity  => sub { answer($_[0], 200, '{"embeddings": [[1e999, 1]]}') },
	html      => sub { answer($_[0], 200, '<html>proxy login</html>') },
	array     => sub { answer($_[0], 200, '[1,2]') },
	nothing   => sub { answer($_[0], 200, $_[1] eq 'ollama' ? { embeddings => [] } : { data => [] }) },
	# the right answer, cut off in its middle while more was announced
	truncated => sub {
		my ($c, undef, $right) = @_;
		my $b = $json->encode($right);
		send_all($c, "HTTP/1.1 200 X\r\nContent-Length: " . length($b) . "\r\n\r\n" . substr($b, 0, length($b) / 2));
		hang_up($c);
	},
	# cut off, but with a length that fits
	cut => sub {
		my ($c, undef, $right) = @_;
		answer($c, 200, substr($json->encode($right), 0, -20));
	},
	delay => sub {
		my ($c, undef, $right) = @_;
		push @later, [ time() + $mode{seconds}, sub { answer($c, 200, $right) if $c->{socket} } ];
	},
	# a byte at a time, for ever slower than any timeout
	drip => sub {
		my ($c, undef, $right) = @_;
		my $b = $json->encode($right);
		send_all($c, "HTTP/1.1 200 X\r\nContent-Length: " . length($b) . "\r\n\r\n");
		my ($i, $more) = (0);
		$more = sub {
			return unless $c->{socket} && $i < length $b;
			send_all($c, substr($b, $i++, 1)) or return hang_up($c);
			push @later, [ time() + 0.1, $more ];
		};
		$more->();
	},
	# more than the texts can need, without announcing how much
	gigantic => sub {
		my ($c) = @_;
		send_all($c, "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n{\"embeddings\": [[");
		my $block = '0.12345678,' x 100000;
		for (1 .. 1000) { send_all($c, $block) or last }
		hang_up($c);
	},
	edited => undef,    # see edit()
);

# Modes that change the right answer's content.
sub edit
{
	my ($kind, $api, $list) = @_;
	my $vector = sub { $api eq 'ollama' ? \$list->[ $_[0] ] : \$list->[ $_[0] ]{embedding} };
	if    ($kind eq 'one_less')  { pop @$list }
	elsif ($kind eq 'one_more')  { push @$list, $list->[0] }
	elsif ($kind eq 'short')     { pop @${ $vector->(-1) } }
	elsif ($kind eq 'text')      { ${ $vector->(0) }->[0] = 'x' }
	elsif ($kind eq 'null')      { ${ $vector->(0) } = undef }
	elsif ($kind eq 'huge')      { ${ $vector->(0) }->[0] = 1e300 }
	elsif ($kind eq 'empty')     { ${ $vector->(0) } = [] }
	elsif ($kind eq 'reversed')  { @$list = reverse @$list }
	elsif ($kind eq 'twice')     { $_->{index} = 0 for @$list }
	elsif ($kind eq 'far_index') { $list->[0]{index} = 4000000000 }
	elsif ($kind eq 'bad_base64') { ${ $vector->(0) } = '!!!!' }
	else                         { die "no edit $kind\n" }
}

sub embed
{
	my ($c, $api, $request, $headers) = @_;
	my $input = $request->{input};
	my @texts = ref $input ? @$input : defined $input ? ($input) : ();
	my $model = $request->{model} // '';
	my $dim = $model =~ /^test-(\d+)/ ? $1 : 384;

	push @log, {
		path            => $api,
		connection      => $c->{number},
		count           => scalar @texts,
		model           => $model,
		authorization   => $headers->{authorization},
		encoding_format => $request->{encoding_format},
		dimensions      => $request->{dimensions},
	};
	$dim = $request->{dimensions} if $request->{dimensions} && !$mode{ignore_dimensions};

	my $mode = $mode{mode};
	$mode{mode} = '' if $mode && $mode{times} && --$mode{times} == 0;
	return answer($c, 404, fail_text($api, "model \"$model\" not found, try pulling it first"))
		if $model =~ /missing/;

	my @list;
	if ($api eq 'ollama')
	{
		# an empty text, alone or not, has no embedding there
		@list = map { [ embedding($_, $dim) ] } grep { length } @texts;
	}
	else
	{
		my $base64 = ($request->{encoding_format} // '') eq 'base64';
		@list = map {
			my @v = embedding($texts[$_], $dim);
			{ object => 'embedding', index => $_, embedding => $base64 ? encode_base64(pack('f<*', @v), '') : \@v }
		} 0 .. $#texts;
	}
	edit($mode{edit}, $api, \@list) if $mode eq 'edited';
	my $right = $api eq 'ollama' ? { model => $model, embeddings => \@list } : { object => 'list', data => \@list };
	return answer($c, 200, $right) if $mode eq '' || $mode eq 'edited';
	return $modes{$mode}->($c, $api, $right);
}

sub handle
{
	my ($c, $method, $path, $headers, $body) = @_;
	my $request = length $body ? eval { $json->decode($body) } : {};

	if ($path eq '/log') { return answer($c, 200, { connections => $connections, requests => \@log }) }
	if ($path eq '/reset') { reset_all(); return answer($c, 200, {}) }
	if ($path eq '/control')
	{
		return answer($c, 400, { error => 'no such mode' }) unless ref $request && ($request->{mode} eq '' || exists $modes{ $request->{mode} });
		%mode = (mode => '', times => 0, %$request);
		return answer($c, 200, {});
	}
	my $api = $path eq '/api/embed' ? 'ollama' : $path eq '/v1/embeddings' ? 'openai' : undef;
	return answer($c, 404, '404 page not found') unless $api && $method eq 'POST';
	return answer($c, 400, fail_text($api, 'invalid JSON')) unless ref $request eq 'HASH';
	return embed($c, $api, $request, $headers);
}

# Take whole requests off what has arrived.
sub consume
{
	my ($c) = @_;
	# a client that begins TLS
	return hang_up($c) if $c->{in} =~ /\A\x16/;
	while ($c->{socket} && $c->{in} =~ /\A(\S+) (\S+) HTTP\/1\.[01]\r\n(.*?)\r\n\r\n/s)
	{
		my ($method, $path, $head, $start) = ($1, $2, $3, $+[0]);
		my %headers = map { /^([^:]+):\s*(.*)$/ ? (lc $1, $2) : () } split /\r\n/, $head;
		my $length = $headers{'content-length'} // 0;
		last if length($c->{in}) < $start + $length;
		my $body = substr($c->{in}, $start, $length);
		substr($c->{in}, 0, $start + $length) = '';
		unless ($c->{number} || $path !~ m{^/(api|v1)/}) { $c->{number} = ++$connections }
		handle($c, $method, $path, \%headers, $body);
	}
}

open my $out, '>', "$portfile.new" or die "$portfile: $!\n";
print $out $listener->sockport, "\n";
close $out;
rename "$portfile.new", $portfile or die "$portfile: $!\n";

while (time() < $end)
{
	for my $socket ($select->can_read(0.02))
	{
		if ($socket == $listener)
		{
			my $new = $listener->accept or next;
			$new->autoflush(1);
			$select->add($new);
			$client{ fileno $new } = { socket => $new, in => '', number => 0 };
			next;
		}
		my $c = $client{ fileno $socket };
		if (sysread($socket, $c->{in}, 1 << 16, length $c->{in})) { consume($c) }
		else                                                       { hang_up($c) }
	}
	my $now = time();
	my @due = grep { $_->[0] <= $now } @later;
	@later = grep { $_->[0] > $now } @later;
	$_->[1]->() for @due;
}
