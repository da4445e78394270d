/*
 * main.c
 *		campaign EXTENSION SEED SECONDS NAME...
 *
 * Prints a line "campaign<TAB>figure<TAB>value" for each figure and ends with
 * "N passed, N failed".
 */
#define _GNU_SOURCE
#include "campaign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

const char *campaign_extension;
uint64_t campaign_seed;
double campaign_seconds;

static int passed, failed;

double
clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

double
clock_patience(void)
{
	double load;

	if (getloadavg(&load, 1) != 1)
		return 1;
	load /= (double) sysconf(_SC_NPROCESSORS_ONLN);
	return load > 1 ? load : 1;
}

void *
shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
	{
		perror("mmap");
		exit(2);
	}
	return memory;
}

void
wipe_folder(const char *folder)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	if (system(command) != 0)
		exit(2);
}

const char *
fresh_folder(const char *name)
{
	static char folders[4][300];
	static int turn;
	char *folder = folders[turn++ % 4];
	char command[700];
	char here[200];

	if (getcwd(here, sizeof(here)) == NULL)
		exit(2);
	snprintf(folder, sizeof(folders[0]), "%s/%s", here, name);
	snprintf(command, sizeof(command), "rm -rf '%s' && mkdir '%s'", folder, folder);
	if (system(command) != 0)
		exit(2);
	return folder;
}

bool
wanted(const char *label)
{
	const char *only = getenv("CAMPAIGN_ONLY");

	return only == NULL || strncmp(label, only, strlen(only)) == 0;
}

void
figure(const char *campaign, const char *name, double value)
{
	printf("%s\t%s\t%.10g\n", campaign, name, value);
	fflush(stdout);
}

void
outcome(const char *campaign, const char *name, bool ok, const char *text)
{
	if (ok)
		passed++;
	else
	{
		failed++;
		printf("FAILED %s %s: %s\n", campaign, name, text);
	}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static const struct
	{
		const char *name;
		void (*run)(void);
	} campaigns[] = {{"crash", campaign_crash},
					 {"steps", campaign_steps},
					 {"faults", campaign_faults},
					 {"readonly", campaign_readonly},
					 {"concurrency", campaign_concurrency},
					 {"backups", campaign_backups},
					 {"follow", campaign_follow}};

	if (argc < 5)
	{
		fprintf(stderr, "usage: %s EXTENSION SEED SECONDS NAME...\n", argv[0]);
		return 2;
	}
	campaign_extension = argv[1];
	campaign_seed = strtoull(argv[2], NULL, 10);
	campaign_seconds = atof(argv[3]);
	for (int i = 4; i < argc; i++)
	{
		bool known = false;

		for (size_t c = 0; c < sizeof(campaigns) / sizeof(campaigns[0]); c++)
			if (strcmp(campaigns[c].name, argv[i]) == 0)
			{
				double start = clock_now();

				known = true;
				campaigns[c].run();
				figure(argv[i], "seconds", clock_now() - start);
			}
		if (!known)
			outcome(argv[i], "name", false, "there is no such campaign");
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed > 0 || passed == 0;
}
