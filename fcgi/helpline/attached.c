#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attached.h"
#include "engine/speech.h"
#include "services/uploads.h"

#define PATH_ROOM	4400

void
attached_open(const struct conf *conf, struct attached *ret)
{
	*ret = (struct attached){ .conf = conf };
	if (access(conf->audio_path, F_OK) == 0 &&
	    shelf_open(conf->audio_path, conf->audio_cache, conf->max_audio, &ret->shelf) != HL_OK)
		ret->shelf = NULL;
}

void
attached_close(struct attached *a)
{
	shelf_close(a->shelf);
	a->shelf = NULL;
}

void
attached_sound(const struct entry *e, char file[SHELF_FILE_MAX])
{
	struct buf url = BUF_INIT(SPEECH_URL_MAX);
	const char *found = NULL;

	*file = '\0';
	if (json_view_string(entry_member(e, "audioUrl"), &url) && url.len)
		found = speech_file(url.data);
	if (found)
		snprintf(file, SHELF_FILE_MAX, "%s", found);
	buf_free(&url);
}

void
attached_remove(struct attached *a, const struct place *p, const struct entries *messages)
{
	char file[SHELF_FILE_MAX];

	for (size_t i = 0; a->shelf && i < messages->count; i++) {
		attached_sound(&messages->list[i], file);
		if (*file)
			shelf_remove(a->shelf, file);
	}
	uploads_remove(a->conf->upload_path, p->h);
}

static enum hl_err
each_recording(const struct attached *a, const struct place *p, enum hl_err (*found)(void *, const char *, const char *), void *arg)
{
	char folder[PATH_ROOM], path[PATH_ROOM + 300], name[300];
	struct dirent *e;
	struct stat st;
	DIR *dir;
	enum hl_err err = HL_OK;
	int fd;

	snprintf(folder, sizeof(folder), "%s/%s", a->conf->upload_path, p->h);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);	/* a link would lead to what is not the person's */
	dir = fd < 0 ? NULL : fdopendir(fd);
	while (dir && err == HL_OK && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		snprintf(name, sizeof(name), "%s-%s", p->h, e->d_name);
		err = found(arg, path, name);
	}
	if (dir)
		closedir(dir);
	return err;
}

enum hl_err
attached_each(const struct attached *a, const struct place *p, const struct entries *messages,
    enum hl_err (*found)(void *, const char *, const char *), void *arg)
{
	char file[SHELF_FILE_MAX], path[PATH_ROOM];
	enum hl_err err = each_recording(a, p, found, arg);

	for (size_t i = 0; i < messages->count && err == HL_OK; i++) {
		attached_sound(&messages->list[i], file);
		if (*file == '\0')
			continue;
		snprintf(path, sizeof(path), "%s/public/%s", a->conf->audio_path, file);
		if (access(path, F_OK) == 0)
			err = found(arg, path, file);
	}
	return err;
}
