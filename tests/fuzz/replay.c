/*
 * replay - runs a fuzzer's function over the files of a folder (CORPUS), without libFuzzer: every test run does.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
replay(const char *name, uint8_t *bytes, size_t most)
{
	char path[4096];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", CORPUS, name);
	f = fopen(path, "rb");
	if (f == NULL) {
		perror(path);
		return -1;
	}
	n = fread(bytes, 1, most, f);
	fclose(f);
	LLVMFuzzerTestOneInput(bytes, n);
	return 0;
}

int
main(void)
{
	static uint8_t bytes[1 << 20];
	DIR *dir = opendir(CORPUS);
	struct dirent *entry;
	int count = 0;

	while (dir && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (replay(entry->d_name, bytes, sizeof(bytes)) != 0)
			return 1;
		count++;
	}
	if (dir)
		closedir(dir);
	printf("%d inputs replayed from %s\n", count, CORPUS);
	return count > 0 ? 0 : 1;
}
