/*
 * test_bridge_triggers.c
 *		Reading triggers typed by hand: what is understood, and that no text
 *		whatever makes the reader go astray (run under AddressSanitizer).
 *
 * Which triggers make a source of an index is in test/sqlite/check.sql.
 */
#define _GNU_SOURCE
#include "bridge_support.h"
#include "sqlite_bridge/content/content.h"

static const char *const triggers[] = {
	"CREATE TRIGGER t AFTER INSERT ON d BEGIN SELECT hnsw_add(NEW.id, NEW.v); END",
	"CREATE TEMP TRIGGER IF NOT EXISTS main.\"t \"\"x\" AFTER INSERT ON [d d] FOR EACH ROW WHEN NEW.v IS NOT "
	"NULL"
	" BEGIN SELECT hnsw_add(NEW.\"i\"\"d\", NEW.`v`, 'it''s'); END",
	"CREATE TRIGGER t AFTER UPDATE OF id, \"v\" ON d BEGIN SELECT hnsw_del(OLD.id), hnsw_add(NEW.id, NEW.v); "
	"END",
	"CREATE TRIGGER t BEFORE DELETE ON d BEGIN -- gone\n SELECT hnsw_del(OLD.id, \"vss\") /* so */ ; END",
};

static void
reads_what_it_should(void **unused)
{
	BridgeTrigger t;

	assert_true(bridge_trigger_parse(triggers[0], &t));
	assert_true(t.event == BRIDGE_INSERT && t.after && t.call_count == 1 && t.calls[0].adds);
	assert_string_equal(t.calls[0].id, "id");
	assert_string_equal(t.calls[0].vector, "v");
	assert_null(t.calls[0].index);
	assert_true(bridge_trigger_lists(&t, "anything"));
	bridge_trigger_free(&t);

	assert_true(bridge_trigger_parse(triggers[1], &t));
	assert_string_equal(t.calls[0].id, "i\"d");
	assert_string_equal(t.calls[0].vector, "v");
	assert_string_equal(t.calls[0].index, "it's");
	bridge_trigger_free(&t);

	assert_true(bridge_trigger_parse(triggers[2], &t));
	assert_true(t.event == BRIDGE_UPDATE && t.after && t.call_count == 2);
	assert_false(t.calls[0].adds);
	assert_true(t.calls[1].adds);
	assert_true(bridge_trigger_lists(&t, "ID") && bridge_trigger_lists(&t, "v"));
	assert_false(bridge_trigger_lists(&t, "d"));
	bridge_trigger_free(&t);

	assert_true(bridge_trigger_parse(triggers[3], &t));
	assert_true(t.event == BRIDGE_DELETE && !t.after && t.call_count == 1);
	assert_string_equal(t.calls[0].index, "vss");
	bridge_trigger_free(&t);

	/* more calls than are kept: none is believed */
	assert_false(bridge_trigger_parse(
		"CREATE TRIGGER t AFTER DELETE ON d BEGIN SELECT hnsw_del(OLD.a), hnsw_del(OLD.b),"
		" hnsw_del(OLD.c), hnsw_del(OLD.d), hnsw_del(OLD.e), hnsw_del(OLD.f),"
		" hnsw_del(OLD.g), hnsw_del(OLD.h), hnsw_del(OLD.i); END",
		&t));
}

/* In memory of its exact size, so that a read past the end is seen. */
static void
parse_exactly(const char *sql, size_t length)
{
	char *copy = malloc(length + 1);
	BridgeTrigger t;

	memcpy(copy, sql, length);
	copy[length] = '\0';
	if (bridge_trigger_parse(copy, &t))
	{
		bridge_trigger_lists(&t, "id");
		bridge_trigger_free(&t);
	}
	else
		assert_int_equal(t.call_count, 0);
	free(copy);
}

static void
survives_anything(void **unused)
{
	static const char letters[] = "\"'`[](),.;-/* \nNEWOLDhnsw_add\x01\xff";
	Random random = {5};
	char sql[400];

	for (size_t i = 0; i < sizeof(triggers) / sizeof(triggers[0]); i++)
	{
		size_t length = strlen(triggers[i]);

		for (size_t cut = 0; cut <= length; cut++)
			parse_exactly(triggers[i], cut);
		for (int round = 0; round < 20000; round++)
		{
			size_t end = 1 + random_bits(&random) % length;

			memcpy(sql, triggers[i], length);
			for (uint64_t n = 1 + random_bits(&random) % 4; n > 0; n--)
				sql[random_bits(&random) % length] = letters[random_bits(&random) % (sizeof(letters) - 1)];
			parse_exactly(sql, round % 2 ? end : length);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_should),
		cmocka_unit_test(survives_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
