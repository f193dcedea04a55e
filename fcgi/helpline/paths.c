#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "paths.h"

char *
path_absolute(const char *path)
{
	char *folder, *ret = NULL;

	if (path == NULL || *path == '/')
		return path ? strdup(path) : NULL;
	folder = getcwd(NULL, 0);
	if (folder && asprintf(&ret, "%s/%s", folder, path) < 0)
		ret = NULL;
	free(folder);
	return ret;
}
