# The programs.
bin_PROGRAMS += helpline
pkglibexec_PROGRAMS += auth chat desk events health pushd

auth_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/fcgi
auth_SOURCES = fcgi/auth.c fcgi/auth/auth.h \
	fcgi/auth/answers.c \
	fcgi/auth/profile.c \
	fcgi/auth/proof.c \
	fcgi/auth/register.c \
	fcgi/auth/sent.c \
	fcgi/auth/sign_in.c
auth_LDADD = $(HELPLINE_LIBS) $(JWT_LIBS) $(CRYPT_LIBS)
chat_SOURCES = fcgi/chat.c
chat_LDADD = $(HELPLINE_LIBS)
desk_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/fcgi
desk_SOURCES = fcgi/desk.c fcgi/desk/desk.h \
	fcgi/desk/agents.c fcgi/desk/agents.h \
	fcgi/desk/audio.c \
	fcgi/desk/avatars.c \
	fcgi/desk/analytics.c \
	fcgi/desk/completion.c fcgi/desk/completion.h \
	fcgi/desk/completions.c \
	fcgi/desk/conversation_list.c \
	fcgi/desk/conversations.c fcgi/desk/conversations.h \
	fcgi/desk/escalations.c \
	fcgi/desk/livekit.c fcgi/desk/livekit.h \
	fcgi/desk/livekit_calls.c \
	fcgi/desk/livekit_events.c \
	fcgi/desk/livekit_people.c \
	fcgi/desk/reanalysis.c \
	fcgi/desk/shown.c fcgi/desk/shown.h \
	fcgi/desk/sounds.c \
	fcgi/desk/statistics.c
desk_LDADD = $(HELPLINE_LIBS) $(JWT_LIBS)
events_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/fcgi
events_SOURCES = fcgi/events.c fcgi/events/events.h \
	fcgi/events/audio.c \
	fcgi/events/chat.c \
	fcgi/events/connect.c \
	fcgi/events/desk.c \
	fcgi/events/phone.c \
	fcgi/events/replay.c \
	fcgi/events/told.c \
	fcgi/events/voice.c
events_LDADD = $(HELPLINE_LIBS) $(JWT_LIBS)
health_SOURCES = fcgi/health.c
health_LDADD = $(HELPLINE_LIBS)
pushd_SOURCES = fcgi/pushd.c
pushd_LDADD = $(HELPLINE_LIBS)

helpline_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/fcgi
helpline_SOURCES = fcgi/helpline.c \
	fcgi/helpline/check.c \
	fcgi/helpline/check.h \
	fcgi/helpline/check_files.c \
	fcgi/helpline/check_nginx.c \
	fcgi/helpline/check_redis.c \
	fcgi/helpline/check_rights.c \
	fcgi/helpline/child.c \
	fcgi/helpline/child.h \
	fcgi/helpline/client.c \
	fcgi/helpline/client.h \
	fcgi/helpline/command.h \
	fcgi/helpline/config.c \
	fcgi/helpline/detect.c \
	fcgi/helpline/detect.h \
	fcgi/helpline/api_keys.c \
	fcgi/helpline/archive.c \
	fcgi/helpline/typed.c \
	fcgi/helpline/typed.h \
	fcgi/helpline/archive.h \
	fcgi/helpline/ask.c \
	fcgi/helpline/ask.h \
	fcgi/helpline/backup.c \
	fcgi/helpline/backup.h \
	fcgi/helpline/paths.c \
	fcgi/helpline/paths.h \
	fcgi/helpline/restore.c \
	fcgi/helpline/attached.c \
	fcgi/helpline/attached.h \
	fcgi/helpline/erase.c \
	fcgi/helpline/escalations.c \
	fcgi/helpline/export.c \
	fcgi/helpline/sessions.c \
	fcgi/helpline/sweep.c \
	fcgi/helpline/who.c \
	fcgi/helpline/who.h \
	fcgi/helpline/written.c \
	fcgi/helpline/written.h \
	fcgi/helpline/books.c \
	fcgi/helpline/books.h \
	fcgi/helpline/keys.c \
	fcgi/helpline/keys.h \
	fcgi/helpline/logs.c \
	fcgi/helpline/logs.h \
	fcgi/helpline/probe.c \
	fcgi/helpline/restart.c \
	fcgi/helpline/restart.h \
	fcgi/helpline/settings.c \
	fcgi/helpline/settings.h \
	fcgi/helpline/site.c \
	fcgi/helpline/site.h \
	fcgi/helpline/sockets.c \
	fcgi/helpline/sockets.h \
	fcgi/helpline/stack.c \
	fcgi/helpline/stack.h \
	fcgi/helpline/state.c \
	fcgi/helpline/state.h \
	fcgi/helpline/status.c \
	fcgi/helpline/status.h \
	fcgi/helpline/supervise.c \
	fcgi/helpline/token.c \
	fcgi/helpline/tree.c \
	fcgi/helpline/tree.h \
	fcgi/helpline/users.c
helpline_LDADD = $(HELPLINE_LIBS) $(JWT_LIBS) $(CRYPT_LIBS)

# What is read about them, and what the shell knows.
dist_man_MANS = fcgi/helpline/helpline.8 fcgi/helpline-auth.8 fcgi/helpline-chat.8 fcgi/helpline-desk.8 \
	fcgi/helpline-events.8 fcgi/helpline-health.8 fcgi/helpline-pushd.8 www/helpline-api.7
nodist_man_MANS = lib/base/helpline.conf.5
EXTRA_DIST += lib/base/helpline.conf.5.in
CLEANFILES += lib/base/helpline.conf.5
lib/base/helpline.conf.5: lib/base/helpline.conf.5.in helpline$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) lib/base && ./helpline config explain --mdoc >$@.settings && \
		sed -e '/^@SETTINGS@$$/{' -e 'r $@.settings' -e 'd' -e '}' $(srcdir)/lib/base/helpline.conf.5.in >$@.new && \
		rm $@.settings && mv $@.new $@
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = fcgi/helpline/completion/helpline
