/* Runs a fuzzer over the files of the folders named, once each: in place of
 * libFuzzer, where there is none. Words that begin with "-" are libFuzzer's.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *file = fopen(path, "r");
	uint8_t *data;
	size_t size;

	if (!file || fseek(file, 0, SEEK_END) < 0) {
		perror(path);
		return -1;
	}
	/* just as long as the file, for whatever watches memory */
	size = (size_t)ftell(file);
	rewind(file);
	data = malloc(size);
	if (size > 0 && (!data || fread(data, size, 1, file) != 1)) {
		perror(path);
		return -1;
	}
	fclose(file);
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

/* How many files there were; -1 when there was none or one failed. */
static int run_folder(const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);
	char path[4096];
	int files = 0;

	if (count < 0) {
		perror(folder);
		return -1;
	}
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder,
			 entries[i]->d_name);
		if (run_file(path) < 0)
			return -1;
		files++;
	}
	return files > 0 ? files : -1;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-' && run_folder(argv[i]) < 0)
			return 1;
	return 0;
}
