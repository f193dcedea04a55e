# Unit tests: one cmocka program a file.
if HAVE_CMOCKA
unit_tests = \
	tests/fault/alloc_test \
	tests/unit/aliases_test \
	tests/unit/archive_test \
	tests/unit/records_test \
	tests/unit/redis_test \
	tests/unit/sent_test \
	tests/unit/shelf_test \
	tests/unit/vault_test \
	tests/unit/breaker_test \
	tests/unit/buf_test \
	tests/unit/clock_test \
	tests/unit/fold_test \
	tests/unit/gzip_test \
	tests/unit/persona_test \
	tests/unit/sound_test \
	tests/unit/upload_test \
	tests/unit/vad_test \
	tests/unit/mouth_test \
	tests/unit/share_test \
	tests/unit/queue_test \
	tests/unit/analytics_test \
	tests/unit/figures_test \
	tests/unit/systemd_test \
	tests/unit/holder_test \
	tests/unit/escalation_test \
	tests/unit/insight_test \
	tests/unit/outcome_test \
	tests/unit/spoken_test \
	tests/unit/title_test \
	tests/unit/knowledge_test \
	tests/unit/search_test \
	tests/unit/conversation_test \
	tests/unit/desk_test \
	tests/unit/push_test \
	tests/unit/frames_test \
	tests/unit/listen_test \
	tests/unit/session_test \
	tests/unit/completion_test \
	tests/unit/conf_test \
	tests/unit/crypto_test \
	tests/unit/fcgi_answer_test \
	tests/unit/fcgi_both_test \
	tests/unit/fcgi_client_test \
	tests/unit/fcgi_test \
	tests/unit/jwt_test \
	tests/unit/livekit_test \
	tests/unit/json_test \
	tests/unit/metrics_test \
	tests/unit/msgpack_test \
	tests/unit/password_test \
	tests/unit/person_test \
	tests/unit/task_test \
	tests/unit/wire_pipe_test \
	tests/unit/http_test \
	tests/unit/provider_test \
	tests/unit/socketio_test \
	tests/unit/engineio_test \
	tests/unit/sse_test
check_PROGRAMS += $(unit_tests)
TESTS = $(unit_tests)
unit_cppflags = $(AM_CPPFLAGS) -DSRCDIR=\"$(abs_top_srcdir)\" $(CMOCKA_CFLAGS)
unit_libs = $(HELPLINE_LIBS) $(CMOCKA_LIBS)

tests_unit_escalation_test_SOURCES = tests/unit/escalation_test.c tests/unit/escalation_sentences.h
tests_unit_escalation_test_CPPFLAGS = $(unit_cppflags)
tests_unit_escalation_test_LDADD = $(unit_libs)
tests_unit_archive_test_SOURCES = tests/unit/archive_test.c tests/unit/own_redis.c tests/unit/own_redis.h \
	fcgi/helpline/archive.c fcgi/helpline/archive.h
tests_unit_archive_test_CPPFLAGS = $(unit_cppflags) -I$(top_srcdir)/fcgi
tests_unit_archive_test_LDADD = $(unit_libs)
tests_unit_records_test_SOURCES = tests/unit/records_test.c tests/unit/own_redis.c tests/unit/own_redis.h
tests_unit_records_test_CPPFLAGS = $(unit_cppflags)
tests_unit_records_test_LDADD = $(unit_libs) $(JWT_LIBS) $(CRYPT_LIBS)
tests_unit_redis_test_SOURCES = tests/unit/redis_test.c tests/unit/own_redis.c tests/unit/own_redis.h
tests_unit_redis_test_CPPFLAGS = $(unit_cppflags)
tests_unit_redis_test_LDADD = $(unit_libs)
tests_unit_sent_test_CPPFLAGS = $(unit_cppflags)
tests_unit_sent_test_LDADD = $(unit_libs)
tests_unit_shelf_test_CPPFLAGS = $(unit_cppflags)
tests_unit_shelf_test_LDADD = $(unit_libs)
tests_unit_vault_test_CPPFLAGS = $(unit_cppflags)
tests_unit_vault_test_LDADD = $(unit_libs)
tests_unit_aliases_test_CPPFLAGS = $(unit_cppflags)
tests_unit_aliases_test_LDADD = $(unit_libs)
tests_unit_mouth_test_CPPFLAGS = $(unit_cppflags)
tests_unit_mouth_test_LDADD = $(unit_libs)
tests_unit_vad_test_CPPFLAGS = $(unit_cppflags)
tests_unit_vad_test_LDADD = $(unit_libs)
tests_unit_sound_test_CPPFLAGS = $(unit_cppflags)
tests_unit_sound_test_LDADD = $(unit_libs)
tests_unit_upload_test_CPPFLAGS = $(unit_cppflags)
tests_unit_upload_test_LDADD = $(unit_libs)
tests_unit_persona_test_CPPFLAGS = $(unit_cppflags)
tests_unit_persona_test_LDADD = $(unit_libs)
tests_unit_share_test_CPPFLAGS = $(unit_cppflags)
tests_unit_share_test_LDADD = $(unit_libs)
tests_unit_holder_test_CPPFLAGS = $(unit_cppflags)
tests_unit_holder_test_LDADD = $(unit_libs)
tests_unit_analytics_test_SOURCES = tests/unit/analytics_test.c tests/unit/own_redis.c tests/unit/own_redis.h
tests_unit_analytics_test_CPPFLAGS = $(unit_cppflags)
tests_unit_analytics_test_LDADD = $(unit_libs)
tests_unit_systemd_test_CPPFLAGS = $(unit_cppflags)
tests_unit_systemd_test_LDADD = $(unit_libs)
tests_unit_figures_test_CPPFLAGS = $(unit_cppflags)
tests_unit_figures_test_LDADD = $(unit_libs)
tests_unit_queue_test_CPPFLAGS = $(unit_cppflags)
tests_unit_queue_test_LDADD = $(unit_libs)
tests_unit_clock_test_CPPFLAGS = $(unit_cppflags)
tests_unit_clock_test_LDADD = $(unit_libs)
tests_unit_buf_test_CPPFLAGS = $(unit_cppflags)
tests_unit_buf_test_LDADD = $(unit_libs)
tests_unit_fold_test_CPPFLAGS = $(unit_cppflags)
tests_unit_fold_test_LDADD = $(unit_libs)
tests_unit_gzip_test_CPPFLAGS = $(unit_cppflags)
tests_unit_gzip_test_LDADD = $(unit_libs)
tests_unit_breaker_test_CPPFLAGS = $(unit_cppflags)
tests_unit_breaker_test_LDADD = $(unit_libs)
tests_unit_desk_test_SOURCES = tests/unit/desk_test.c tests/unit/own_redis.c tests/unit/own_redis.h
tests_unit_desk_test_CPPFLAGS = $(unit_cppflags)
tests_unit_desk_test_LDADD = $(unit_libs)
tests_unit_insight_test_CPPFLAGS = $(unit_cppflags)
tests_unit_insight_test_LDADD = $(unit_libs)
tests_unit_outcome_test_CPPFLAGS = $(unit_cppflags)
tests_unit_outcome_test_LDADD = $(unit_libs)
tests_unit_title_test_CPPFLAGS = $(unit_cppflags)
tests_unit_title_test_LDADD = $(unit_libs)
tests_unit_knowledge_test_SOURCES = tests/unit/knowledge_test.c tests/unit/knowledge_questions.h
tests_unit_knowledge_test_CPPFLAGS = $(unit_cppflags)
tests_unit_knowledge_test_LDADD = $(unit_libs)
tests_unit_search_test_CPPFLAGS = $(unit_cppflags)
tests_unit_search_test_LDADD = $(unit_libs)
tests_unit_completion_test_CPPFLAGS = $(unit_cppflags)
tests_unit_completion_test_LDADD = $(unit_libs)
tests_unit_http_test_SOURCES = tests/unit/http_test.c tests/unit/server.c tests/unit/server.h
tests_unit_http_test_CPPFLAGS = $(unit_cppflags)
tests_unit_http_test_LDADD = $(unit_libs)
tests_unit_provider_test_SOURCES = tests/unit/provider_test.c tests/unit/server.c tests/unit/server.h
tests_unit_provider_test_CPPFLAGS = $(unit_cppflags)
tests_unit_provider_test_LDADD = $(unit_libs)
tests_unit_wire_pipe_test_CPPFLAGS = $(unit_cppflags)
tests_unit_wire_pipe_test_LDADD = $(unit_libs)
tests_unit_task_test_CPPFLAGS = $(unit_cppflags)
tests_unit_task_test_LDADD = $(unit_libs)
tests_unit_livekit_test_CPPFLAGS = $(unit_cppflags)
tests_unit_livekit_test_LDADD = $(unit_libs) $(JWT_LIBS)
tests_unit_jwt_test_CPPFLAGS = $(unit_cppflags)
tests_unit_jwt_test_LDADD = $(unit_libs) $(JWT_LIBS)
tests_unit_metrics_test_CPPFLAGS = $(unit_cppflags)
tests_unit_metrics_test_LDADD = $(unit_libs)
tests_unit_msgpack_test_CPPFLAGS = $(unit_cppflags)
tests_unit_msgpack_test_LDADD = $(unit_libs)
tests_unit_password_test_CPPFLAGS = $(unit_cppflags)
tests_unit_password_test_LDADD = $(unit_libs) $(CRYPT_LIBS)
tests_unit_person_test_CPPFLAGS = $(unit_cppflags)
tests_unit_person_test_LDADD = $(unit_libs)
tests_unit_json_test_CPPFLAGS = $(unit_cppflags)
tests_unit_json_test_LDADD = $(unit_libs)
tests_unit_fcgi_answer_test_CPPFLAGS = $(unit_cppflags)
tests_unit_fcgi_answer_test_LDADD = $(unit_libs)
tests_unit_fcgi_both_test_SOURCES = tests/unit/fcgi_both_test.c tests/unit/fcgi_ends.c tests/unit/fcgi_ends.h
tests_unit_fcgi_both_test_CPPFLAGS = $(unit_cppflags)
tests_unit_fcgi_both_test_LDADD = $(unit_libs)
tests_unit_fcgi_client_test_SOURCES = tests/unit/fcgi_client_test.c tests/unit/fcgi_ends.c tests/unit/fcgi_ends.h
tests_unit_fcgi_client_test_CPPFLAGS = $(unit_cppflags)
tests_unit_fcgi_client_test_LDADD = $(unit_libs)
tests_unit_fcgi_test_CPPFLAGS = $(unit_cppflags)
tests_unit_fcgi_test_LDADD = $(unit_libs)
tests_unit_frames_test_CPPFLAGS = $(unit_cppflags)
tests_unit_frames_test_LDADD = $(unit_libs)
tests_unit_listen_test_CPPFLAGS = $(unit_cppflags)
tests_unit_listen_test_LDADD = $(unit_libs)
tests_unit_crypto_test_CPPFLAGS = $(unit_cppflags)
tests_unit_crypto_test_LDADD = $(unit_libs)
tests_unit_conf_test_CPPFLAGS = $(unit_cppflags)
tests_unit_conf_test_LDADD = $(unit_libs)
tests_unit_conversation_test_SOURCES = tests/unit/conversation_test.c tests/unit/own_redis.c tests/unit/own_redis.h
tests_unit_conversation_test_CPPFLAGS = $(unit_cppflags)
tests_unit_conversation_test_LDADD = $(unit_libs)
tests_unit_spoken_test_CPPFLAGS = $(unit_cppflags)
tests_unit_spoken_test_LDADD = $(unit_libs)
tests_unit_sse_test_CPPFLAGS = $(unit_cppflags)
tests_unit_sse_test_LDADD = $(unit_libs)
tests_unit_engineio_test_CPPFLAGS = $(unit_cppflags)
tests_unit_engineio_test_LDADD = $(unit_libs)
tests_unit_socketio_test_CPPFLAGS = $(unit_cppflags)
tests_unit_socketio_test_LDADD = $(unit_libs)

# The fuzzers' corpus runs with every test; tests/fuzz/run.sh goes on from it with libFuzzer.
fuzz_tests = \
	tests/fuzz/archive_replay \
	tests/fuzz/engineio_replay \
	tests/fuzz/fcgi_answer_replay \
	tests/fuzz/handshake_replay \
	tests/fuzz/json_replay \
	tests/fuzz/msgpack_replay \
	tests/fuzz/socketio_replay \
	tests/fuzz/sound_replay \
	tests/fuzz/sse_replay \
	tests/fuzz/wire_replay
check_PROGRAMS += $(fuzz_tests)
TESTS += $(fuzz_tests)
fuzz_cppflags = $(AM_CPPFLAGS) -DCORPUS=\"$(abs_top_srcdir)/tests/fuzz/corpus
tests_fuzz_archive_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/archive_fuzz.c fcgi/helpline/archive.c fcgi/helpline/archive.h
tests_fuzz_archive_replay_CPPFLAGS = $(fuzz_cppflags)/archive\" -I$(top_srcdir)/fcgi
tests_fuzz_archive_replay_LDADD = $(HELPLINE_LIBS)
tests_fuzz_engineio_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/engineio_fuzz.c
tests_fuzz_engineio_replay_CPPFLAGS = $(fuzz_cppflags)/engineio\"
tests_fuzz_engineio_replay_LDADD = $(HELPLINE_LIBS)
tests_fuzz_fcgi_answer_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/fcgi_answer_fuzz.c
tests_fuzz_fcgi_answer_replay_CPPFLAGS = $(fuzz_cppflags)/fcgi_answer\"
tests_fuzz_fcgi_answer_replay_LDADD = $(HELPLINE_LIBS)
tests_fuzz_handshake_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/handshake_fuzz.c
tests_fuzz_handshake_replay_CPPFLAGS = $(fuzz_cppflags)/handshake\"
tests_fuzz_handshake_replay_LDADD = $(HELPLINE_LIBS)
tests_fuzz_msgpack_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/msgpack_fuzz.c
tests_fuzz_msgpack_replay_CPPFLAGS = $(fuzz_cppflags)/msgpack\"
tests_fuzz_msgpack_replay_LDADD = $(HELPLINE_LIBS)
tests_fuzz_json_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/json_fuzz.c
tests_fuzz_json_replay_CPPFLAGS = $(fuzz_cppflags)/json\"
tests_fuzz_json_replay_LDADD = $(HELPLINE_LIBS)
tests_fuzz_socketio_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/socketio_fuzz.c
tests_fuzz_socketio_replay_CPPFLAGS = $(fuzz_cppflags)/socketio\"
tests_fuzz_socketio_replay_LDADD = $(HELPLINE_LIBS)
tests_fuzz_sound_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/sound_fuzz.c
tests_fuzz_sound_replay_CPPFLAGS = $(fuzz_cppflags)/sound\"
tests_fuzz_sound_replay_LDADD = $(HELPLINE_LIBS)
tests_fuzz_sse_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/sse_fuzz.c
tests_fuzz_sse_replay_CPPFLAGS = $(fuzz_cppflags)/sse\"
tests_fuzz_sse_replay_LDADD = $(HELPLINE_LIBS)
tests_fuzz_wire_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/wire_fuzz.c
tests_fuzz_wire_replay_CPPFLAGS = $(fuzz_cppflags)/wire\"
tests_fuzz_wire_replay_LDADD = $(HELPLINE_LIBS)
tests_unit_session_test_CPPFLAGS = $(unit_cppflags)
tests_unit_session_test_LDADD = $(unit_libs)
tests_unit_push_test_CPPFLAGS = $(unit_cppflags)
tests_unit_push_test_LDADD = $(unit_libs)
tests_fault_alloc_test_SOURCES = tests/fault/alloc_test.c tests/fault/alloc.c tests/fault/alloc.h
tests_fault_alloc_test_CPPFLAGS = $(unit_cppflags)
tests_fault_alloc_test_LDADD = $(unit_libs)
endif
EXTRA_DIST += tests/fuzz/run.sh

# What tests/conformance.test.mjs starts around the push daemon: it has them built.
EXTRA_PROGRAMS = tests/conformance/echo tests/conformance/events_app tests/conformance/holder
tests_conformance_echo_SOURCES = tests/conformance/echo.c tests/conformance/listen.h
tests_conformance_echo_LDADD = $(HELPLINE_LIBS)
tests_conformance_events_app_SOURCES = tests/conformance/events_app.c tests/conformance/listen.h
tests_conformance_events_app_LDADD = $(HELPLINE_LIBS)
tests_conformance_holder_SOURCES = tests/conformance/holder.c tests/conformance/listen.h
EXTRA_DIST += tests/conformance/nginx.conf.in tests/conformance/rig.mjs tests/conformance/hands.mjs tests/conformance.test.mjs

# What ./run bench measures with: built when it is asked for.
EXTRA_PROGRAMS += tests/bench/load tests/bench/calls tests/bench/upstream tests/bench/fill
tests_bench_fill_SOURCES = tests/bench/fill.c
tests_bench_fill_LDADD = $(HELPLINE_LIBS)
bench_crowd = tests/bench/crowd.c tests/bench/crowd.h tests/bench/wire.c tests/bench/wire.h tests/bench/samples.c tests/bench/samples.h
tests_bench_load_SOURCES = tests/bench/load.c tests/bench/load.h tests/bench/ways.c $(bench_crowd)
tests_bench_load_LDADD = $(HELPLINE_LIBS)
tests_bench_calls_SOURCES = tests/bench/calls.c tests/bench/marks.h $(bench_crowd)
tests_bench_calls_LDADD = $(HELPLINE_LIBS)
tests_bench_upstream_SOURCES = tests/bench/upstream.c tests/bench/marks.h
tests_bench_upstream_LDADD = $(HELPLINE_LIBS)
EXTRA_DIST += tests/bench/run.mjs tests/bench/stack.mjs tests/bench/figures.mjs tests/bench/voice.mjs
EXTRA_DIST += tests/bench/node_service/.npmrc tests/bench/node_service/package.json tests/bench/node_service/package-lock.json \
	tests/bench/node_service/server.mjs

# ./run fault; it builds its own shim.so.
EXTRA_DIST += tests/fault/run.mjs tests/fault/scenarios.mjs tests/fault/clients.mjs tests/fault/judge.mjs tests/fault/ledger.mjs \
	tests/fault/stack.mjs tests/fault/shim.c tests/fault_short.test.mjs
