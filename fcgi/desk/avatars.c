/*
 * Images of agents and of people (contract: desk API, Files).
 *
 * nginx has written the body into a file of its own and tells its name (helpline-upload.conf); it serves the images, too.
 * What an image is, its bytes say, not its name.  Its address cannot be guessed; the one before it is removed when nothing
 * names it any more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/reply.h"
#include "base/image.h"
#include "base/log.h"
#include "base/multipart.h"
#include "base/str.h"
#include "desk/agents.h"
#include "loop/task.h"
#include "services/file.h"
#include "services/sent.h"

#define FORM_SLACK	65536	/* bytes of a form beside its file */
#define ADDRESS_MAX	64
#define TRIES		40	/* of a change that another one came between: each time one is through */

bool
avatar_is_default(const char *address)
{
	return str_equal(address, AVATAR_DEFAULT) || str_equal(address, AVATAR_PLACE "ai-avatar.png");
}

/* The name of the file behind an address of ours, or NULL. */
static const char *
file_name(const char *address)
{
	const char *name;
	char id[ID_LEN + 1];

	if (address == NULL || strncmp(address, AVATAR_PLACE, sizeof(AVATAR_PLACE) - 1) != 0)
		return NULL;
	name = address + sizeof(AVATAR_PLACE) - 1;
	snprintf(id, sizeof(id), "%s", name);
	return id_valid(id) && name[ID_LEN] == '.' && strlen(name) < ID_LEN + 6 && strchr(name, '/') == NULL ? name : NULL;
}

bool
avatar_is_ours(const char *address)
{
	return file_name(address) != NULL;
}

void
avatar_remove(const struct conf *conf, const char *address)
{
	const char *name = file_name(address);

	if (name)
		file_remove(conf->avatar_path, name);
}

/* ---- what was sent ---- */

/* Done by a thread: everything that it needs is here, and what it came to. */
struct upload {
	const struct conf *conf;
	const char	*path;		/* of nginx's file */
	const char	*content_type;
	size_t		 max;
	char		 name[ID_LEN + 8];	/* of the image that is kept */
	enum hl_err	 err;
	const char	*problem;	/* a sentence, with err */
	int		 failure;	/* errno, with HL_INTERNAL */
};

static void
refuse(struct upload *u, enum hl_err err, const char *sentence)
{
	u->err = err;
	u->problem = sentence;
}

/* The image itself: the body, or the part "avatar", "image" or "file" of a form. */
static bool
find_image(struct upload *u, const struct file_view *body, struct part *ret)
{
	static const char *const names[] = { "avatar", "image", "file" };
	enum hl_err err = HL_NOT_FOUND;

	*ret = (struct part){ .data = body->data, .len = body->len };
	if (!multipart_is(u->content_type))
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && err == HL_NOT_FOUND; i++)
		err = multipart_find(u->content_type, body->data, body->len, names[i], ret);
	if (err == HL_NOT_FOUND)
		refuse(u, HL_BAD_REQUEST, "The form must have a file in its field avatar");
	else if (err)
		refuse(u, HL_BAD_REQUEST, "The form cannot be read, or its end is missing");
	return err == HL_OK;
}

static bool
is_allowed(const struct conf *conf, const char *type)
{
	return conf_lists(conf->file_types, type, strlen(type)) ||
	    (strcmp(type, "jpg") == 0 && conf_lists(conf->file_types, "jpeg", 4));
}

static void
keep_image(struct upload *u, const struct part *image)
{
	const char *type = image_type(image->data, image->len);
	char id[ID_LEN + 1];

	if (image->len == 0)
		refuse(u, HL_BAD_REQUEST, "There is no image in the request");
	else if (image->len > u->max)
		refuse(u, HL_TOO_LARGE, "The image is too large");
	else if (type == NULL || !is_allowed(u->conf, type))
		refuse(u, HL_MEDIA_TYPE, "This is not an image, or not of a type that may be sent");
	if (u->err)
		return;
	id_new(id);
	snprintf(u->name, sizeof(u->name), "%s.%s", id, type);
	u->err = file_keep(u->conf->avatar_path, u->name, image->data, image->len);
	u->failure = errno;
}

static void
take_upload(void *arg)
{
	struct upload *u = arg;
	struct file_view body;
	struct part image;

	u->err = sent_open(u->conf->front_socket, u->path, u->max + FORM_SLACK, &body);
	u->failure = errno;
	if (u->err == HL_OK && find_image(u, &body, &image))
		keep_image(u, &image);
	file_close(&body);
}

/* Keeps what was sent; address gets where it is.  Suspends. */
static enum hl_err
receive(struct call *call, char address[ADDRESS_MAX])
{
	struct upload u = { .conf = &call->app->conf, .path = fcgi_param(call->fcgi, "UPLOAD_FILE"),
		.content_type = fcgi_param(call->fcgi, "CONTENT_TYPE") };
	int64_t max = 0;
	enum hl_err err;

	if (u.path == NULL || *u.path == '\0')
		return call_fail(call, HL_BAD_REQUEST, "There is no image in the request");
	if (!conf_size(u.conf->max_file_size, &max))
		return HL_INTERNAL;
	u.max = (size_t)max;
	err = task_work(take_upload, &u);
	if (err)
		return err;
	if (u.err == HL_TOO_LARGE)
		return call_fail(call, u.err, "The image is larger than %s", u.conf->max_file_size);
	if (u.err == HL_MEDIA_TYPE)
		return call_fail(call, u.err, "The file must be an image of one of these types: %s", u.conf->file_types);
	if (u.problem)
		return call_fail(call, u.err, "%s", u.problem);
	if (u.err == HL_INTERNAL && u.failure == ENOSPC)
		return call_fail(call, HL_TOO_LARGE, "There is no room for more images");
	if (u.err)
		log_line(LOG_LEVEL_ERROR, "avatar_not_kept", "request_id", call->shown_id, "problem", strerror(u.failure), NULL);
	snprintf(address, ADDRESS_MAX, AVATAR_PLACE "%s", u.name);
	return u.err;
}

/* ---- PUT /api/agents/:id/avatar ---- */

static enum hl_err
put_agent_avatar(struct call *call)
{
	char address[ADDRESS_MAX] = "", *before = NULL;
	struct account who;
	struct agent a;
	enum hl_err err = find_agent(call, &who, &a);

	if (err == HL_OK)
		err = receive(call, address);
	for (int i = 0; err == HL_OK; i++) {
		free(before);
		before = a.avatar ? strdup(a.avatar) : NULL;
		a.avatar = address;
		err = agent_change(&call->app->store, &a);
		if (err != HL_CONFLICT || i == TRIES)
			break;
		agent_clear(&a);
		err = agent_read(&call->app->store, who.h, call->segment, &a);
	}
	if (err == HL_OK) {
		avatar_remove(&call->app->conf, before);
		err = reply_agent(call, 200, &who, &a);
	} else if (err != HL_STORE)	/* which may have been done after all */
		avatar_remove(&call->app->conf, address);
	free(before);
	agent_clear(&a);
	return err;
}

/* ---- PUT /api/auth/avatar ---- */

static enum hl_err
reply_user(struct call *call, const struct account *who)
{
	struct buf body = BUF_INIT(8192);
	enum hl_err err;

	buf_puts(&body, "{\"_id\":");
	buf_json_str(&body, who->id);
	buf_puts(&body, ",\"name\":");
	buf_json_str(&body, who->name);
	buf_puts(&body, ",\"email\":");
	buf_json_str(&body, who->email);
	buf_printf(&body, ",\"role\":\"%s\",\"avatar\":", who->admin ? "admin" : "user");
	buf_json_str(&body, who->avatar);
	buf_putc(&body, '}');
	err = reply_json(call, 200, &body);
	buf_free(&body);
	return err;
}

static enum hl_err
put_own_avatar(struct call *call)
{
	char address[ADDRESS_MAX] = "", before[ACCOUNT_AVATAR_MAX + 1] = "";
	struct account who, now;
	enum hl_err err = call_owner(call, &who);

	if (err == HL_OK)
		err = receive(call, address);
	for (int i = 0; err == HL_OK; i++) {
		snprintf(before, sizeof(before), "%s", who.avatar);
		snprintf(who.avatar, sizeof(who.avatar), "%s", address);
		err = account_change(&call->app->store, NULL, &who);
		if (err != HL_UNPROCESSABLE || i == TRIES)
			break;
		err = account_load(&call->app->store, who.h, &now);
		who = now;
	}
	if (err == HL_OK) {
		avatar_remove(&call->app->conf, before);
		err = reply_user(call, &who);
	} else if (err != HL_STORE)
		avatar_remove(&call->app->conf, address);
	return err == HL_UNPROCESSABLE ? HL_CONFLICT : err;
}

static const struct route routes[] = {
	{ "PUT", "/api/agents/:id/avatar", BODY_NONE, put_agent_avatar },
	{ "PUT", "/api/company-agents/:id/avatar", BODY_NONE, put_agent_avatar },
	{ "PUT", "/api/auth/avatar", BODY_NONE, put_own_avatar },
};
const struct desk_part desk_avatars = { routes, sizeof(routes) / sizeof(routes[0]) };
