/*
 * bridge_folder.h
 *		A new folder for each test, for programs whose tests all want one.
 */
#ifndef BRIDGE_FOLDER_H
#define BRIDGE_FOLDER_H

#include "bridge_support.h"

/* The running test's. */
static char *folder;

static inline int
setup_folder(void **state)
{
	folder = make_folder();
	return 0;
}

static inline int
teardown_folder(void **state)
{
	remove_folder(folder);
	return 0;
}

#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, setup_folder, teardown_folder)

#endif /* BRIDGE_FOLDER_H */
