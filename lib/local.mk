noinst_LIBRARIES += libhelpline.a
libhelpline_a_SOURCES = \
	lib/api/auth.c lib/api/auth.h \
	lib/api/background.c lib/api/background.h \
	lib/api/call.h \
	lib/api/kept.c lib/api/kept.h \
	lib/api/openai.c lib/api/openai.h \
	lib/api/program.c lib/api/program.h \
	lib/api/reply.c lib/api/reply.h \
	lib/api/request.c lib/api/request.h \
	lib/api/route.c lib/api/route.h \
	lib/base/buf.c lib/base/buf.h \
	lib/base/clock.c lib/base/clock.h \
	lib/base/conf.c lib/base/conf.h lib/base/conf_file.c lib/base/conf_credentials.c \
	lib/base/engineio.c lib/base/engineio.h \
	lib/base/csv.c lib/base/csv.h \
	lib/base/fold.c lib/base/fold.h \
	lib/base/gzip.c lib/base/gzip.h \
	lib/base/error.c lib/base/error.h \
	lib/base/histogram.c lib/base/histogram.h \
	lib/base/id.c lib/base/id.h \
	lib/base/image.c lib/base/image.h \
	lib/base/joint.c lib/base/joint.h \
	lib/base/json.c lib/base/json.h \
	lib/base/json_view.c lib/base/json_view.h \
	lib/base/log.c lib/base/log.h \
	lib/base/metrics.c lib/base/metrics.h \
	lib/base/metrics_text.c lib/base/metrics_text.h \
	lib/base/msgpack.c lib/base/msgpack.h \
	lib/base/network.c lib/base/network.h \
	lib/base/multipart.c lib/base/multipart.h \
	lib/base/origin.c lib/base/origin.h \
	lib/base/sentiment.c lib/base/sentiment.h \
	lib/base/random.c lib/base/random.h \
	lib/base/pcm.c lib/base/pcm.h \
	lib/base/person.c lib/base/person.h \
	lib/base/sha1.c lib/base/sha1.h \
	lib/base/sound.c lib/base/sound.h \
	lib/base/socketio.c lib/base/socketio.h \
	lib/base/sse.c lib/base/sse.h \
	lib/base/str.c lib/base/str.h \
	lib/base/trace.c lib/base/trace.h \
	lib/base/wire.c lib/base/wire.h \
	lib/engine/hearing.c lib/engine/hearing.h \
	lib/engine/knowledge.c lib/engine/knowledge.h \
	lib/engine/aloud.c lib/engine/aloud.h \
	lib/engine/aliases.c lib/engine/aliases.h \
	lib/engine/answer.c lib/engine/answer.h \
	lib/engine/breaker.c lib/engine/breaker.h \
	lib/engine/budget.c lib/engine/budget.h \
	lib/engine/company.c lib/engine/company.h \
	lib/engine/completion.c lib/engine/completion.h \
	lib/engine/escalation.c lib/engine/escalation.h \
	lib/engine/figures.c lib/engine/figures.h \
	lib/engine/form.c lib/engine/form.h \
	lib/engine/insight.c lib/engine/insight.h \
	lib/engine/keywords.c \
	lib/engine/lexicon.c lib/engine/lexicon.h \
	lib/engine/livekit.c lib/engine/livekit.h \
	lib/engine/outcome.c lib/engine/outcome.h \
	lib/engine/outgoing.c \
	lib/engine/peel.c lib/engine/peel.h \
	lib/engine/persona.c lib/engine/persona.h \
	lib/engine/provider.c lib/engine/provider.h \
	lib/engine/recorded.c lib/engine/recorded.h \
	lib/engine/retry.c lib/engine/retry.h \
	lib/engine/queue.c lib/engine/queue.h \
	lib/engine/trial.c lib/engine/trial.h \
	lib/engine/relay.c lib/engine/relay.h \
	lib/engine/mouth.c lib/engine/mouth.h \
	lib/engine/talk.c lib/engine/talk.h lib/engine/talk_parts.h \
	lib/engine/talk_brain.c lib/engine/talk_person.c lib/engine/talk_ear.c lib/engine/talk_voice.c \
	lib/engine/vad.c lib/engine/vad.h \
	lib/engine/speaker.c \
	lib/engine/speech.c lib/engine/speech.h lib/engine/speech_parts.h \
	lib/engine/spoken.c lib/engine/spoken.h \
	lib/engine/words.c lib/engine/words.h \
	lib/engine/share.c lib/engine/share.h \
	lib/engine/title.c lib/engine/title.h \
	lib/engine/engine.c lib/engine/runner.c \
	lib/engine/turn.c lib/engine/turn.h lib/engine/turn_parts.h \
	lib/loop/lane.c lib/loop/lane.h \
	lib/loop/task.c lib/loop/task.h \
	lib/loop/wire_pipe.c lib/loop/wire_pipe.h \
	lib/records/agent.c lib/records/agent.h \
	lib/records/api_key.c lib/records/api_key.h \
	lib/records/analytics.c lib/records/analytics.h lib/records/analytics_scripts.h \
	lib/records/chat_owner.c lib/records/chat_owner.h \
	lib/records/account.c lib/records/account.h lib/records/account_scripts.h \
	lib/records/belongings.c lib/records/belongings.h \
	lib/records/calls.c lib/records/calls.h \
	lib/records/relayed.c lib/records/relayed.h \
	lib/records/conversation.c lib/records/conversation.h \
	lib/records/cut.c \
	lib/records/desk.c lib/records/desk.h \
	lib/records/desk_fields.c lib/records/desk_fields.h \
	lib/records/desk_head.c lib/records/desk_head.h \
	lib/records/desk_list.c lib/records/desk_scripts.h \
	lib/records/entry.c lib/records/entry.h \
	lib/records/escalation.c lib/records/escalation.h lib/records/escalation_scripts.h \
	lib/records/holder.c lib/records/holder.h \
	lib/records/sessions.c lib/records/sessions.h \
	lib/records/inventory.c lib/records/inventory.h \
	lib/records/job.c lib/records/job.h \
	lib/records/keys.c lib/records/keys.h lib/records/scripts.h \
	lib/records/lease.c lib/records/lease_keep.c lib/records/lease_scripts.h \
	lib/records/recall.c lib/records/recall.h \
	lib/records/sign_in.c lib/records/sign_in.h \
	lib/records/spend.c \
	lib/records/tally.h \
	lib/records/tokens.c lib/records/tokens.h \
	lib/services/crypto.c lib/services/crypto.h \
	lib/services/fcgi.c lib/services/fcgi.h \
	lib/services/fcgi_answer.c lib/services/fcgi_answer.h \
	lib/services/fcgi_client.c lib/services/fcgi_client.h \
	lib/services/fcgi_record.c lib/services/fcgi_record.h \
	lib/services/file.c lib/services/file.h \
	lib/services/listen.c lib/services/listen.h \
	lib/services/http.c lib/services/http.h \
	lib/services/http_multi.c lib/services/http_parts.h lib/services/http_request.c \
	lib/services/metrics_file.c lib/services/metrics_file.h \
	lib/services/notify.c lib/services/notify.h \
	lib/services/renew.c lib/services/renew.h \
	lib/services/jwt.c lib/services/jwt.h \
	lib/services/password.c lib/services/password.h \
	lib/services/redis.c lib/services/redis.h lib/services/redis_link.h \
	lib/services/redis_link.c lib/services/redis_sub.c \
	lib/services/sent.c lib/services/sent.h \
	lib/services/shelf.c lib/services/shelf.h lib/services/shelf_parts.h lib/services/shelf_tend.c \
	lib/services/search.c lib/services/search.h \
	lib/services/search_cut.c lib/services/search_cut.h \
	lib/services/search_folder.c lib/services/search_folder.h \
	lib/services/search_index.c lib/services/search_index.h \
	lib/services/search_memory.c lib/services/search_memory.h \
	lib/services/search_parts.h lib/services/search_question.c lib/services/search_rank.c \
	lib/services/search_passage.c lib/services/search_passage.h \
	lib/services/search_vocab.c lib/services/search_vocab.h \
	lib/services/search_words.c lib/services/search_words.h \
	lib/services/uploads.c lib/services/uploads.h \
	lib/services/vault.c lib/services/vault.h \
	lib/push/asking.c \
	lib/push/answer.c lib/push/answer.h \
	lib/push/push.c lib/push/push.h \
	lib/push/recovery.c lib/push/recovery.h \
	lib/push/emitter.c lib/push/late.c lib/push/roster.c \
	lib/push/publication.c lib/push/publication.h \
	lib/push/relay.c lib/push/relay.h \
	lib/push/room.c lib/push/room.h \
	lib/push/socket.c lib/push/socket.h \
	lib/push/workers.c lib/push/workers.h \
	lib/push/deadline.c lib/push/deadline.h \
	lib/push/frames.c lib/push/frames.h \
	lib/push/handshake.c lib/push/handshake.h \
	lib/push/line.c lib/push/line.h \
	lib/push/polling.c \
	lib/push/message.c lib/push/message.h \
	lib/push/request.c lib/push/request.h \
	lib/push/returning.c lib/push/client.h \
	lib/push/session.c lib/push/session.h \
	lib/push/transport.c lib/push/transport.h \
	lib/push/websocket.c lib/push/websocket.h
HELPLINE_LIBS = libhelpline.a $(FCGI_LIBS) $(WSLAY_LIBS) $(DEPS_LIBS) -lm
AM_CPPFLAGS += -DHELPLINE_DATADIR=\"$(pkgdatadir)\"

# The sample knowledge, which answers until the company has written down its own.
knowledgedir = $(pkgdatadir)/knowledge
dist_knowledge_DATA = \
	lib/engine/knowledge-sample/about.md \
	lib/engine/knowledge-sample/account.md \
	lib/engine/knowledge-sample/contact.md \
	lib/engine/knowledge-sample/delivery.md \
	lib/engine/knowledge-sample/gift-cards.md \
	lib/engine/knowledge-sample/lamps.md \
	lib/engine/knowledge-sample/orders.md \
	lib/engine/knowledge-sample/payment.md \
	lib/engine/knowledge-sample/returns.md \
	lib/engine/knowledge-sample/tea.md \
	lib/engine/knowledge-sample/warranty.md
