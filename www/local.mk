# The pages, of the chat, (docs/) of the API and (voice/) of calls: two files each, made of many by esbuild, from Debian's own packages.
wwwdir = $(pkgdatadir)/www
www_sources = \
	www/api.js \
	www/app.css \
	www/app.js \
	www/chat.js \
	www/markdown.js \
	www/punycode.js \
	www/socket.js \
	www/store.js \
	www/theme.css \
	www/view.js
docs_sources = \
	www/docs/docs.css \
	www/docs/docs.js \
	www/docs/operation.js \
	www/docs/parts.js \
	www/docs/schemas.js \
	www/theme.css
voice_sources = \
	www/socket.js \
	www/theme.css \
	www/voice/player.js \
	www/voice/voice.css \
	www/voice/voice.js
dist_www_DATA = www/index.html www/icon.svg www/openapi.json
nodist_www_DATA = www/built/app.js www/built/app.css
avatarsdir = $(wwwdir)/public/avatars
dist_avatars_DATA = www/public/avatars/ai-avatar.png www/public/avatars/ai-avatar.svg
docsdir = $(wwwdir)/docs
dist_docs_DATA = www/docs/index.html
nodist_docs_DATA = www/built/docs.js www/built/docs.css
voicedir = $(wwwdir)/voice
dist_voice_DATA = www/voice/index.html www/voice/microphone.js
nodist_voice_DATA = www/built/voice.js www/built/voice.css
CLEANFILES += $(nodist_www_DATA) $(nodist_docs_DATA) $(nodist_voice_DATA)
EXTRA_DIST += $(www_sources) $(docs_sources) $(voice_sources) www/screenshot.png

node_modules_path = /usr/share/nodejs
WWW_NOTICE = /*! Helpline, ISC licence. With markdown-it, linkify-it, mdurl and uc.micro by Vitaly Puzrin, Alex Kocharin and others, MIT licence. */

www/built/app.js: $(www_sources)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && NODE_PATH=$(node_modules_path) $(ESBUILD) $(srcdir)/www/app.js --bundle --minify \
	    --format=iife --target=es2019 --charset=utf8 --log-level=warning --banner:js='$(WWW_NOTICE)' \
	    --alias:punycode=$(abs_srcdir)/www/punycode.js --alias:punycode.js=$(abs_srcdir)/www/punycode.js --outfile=$@

www/built/app.css: www/app.css www/theme.css
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(ESBUILD) $(srcdir)/www/app.css --bundle --minify --log-level=warning --outfile=$@

www/built/docs.js: $(docs_sources)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(ESBUILD) $(srcdir)/www/docs/docs.js --bundle --minify --format=iife --target=es2019 \
	    --charset=utf8 --log-level=warning --outfile=$@

www/built/docs.css: www/docs/docs.css www/theme.css
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(ESBUILD) $(srcdir)/www/docs/docs.css --bundle --minify --log-level=warning --outfile=$@

www/built/voice.js: $(voice_sources)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(ESBUILD) $(srcdir)/www/voice/voice.js --bundle --minify --format=iife --target=es2019 \
	    --charset=utf8 --log-level=warning --outfile=$@

www/built/voice.css: www/voice/voice.css www/theme.css
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(ESBUILD) $(srcdir)/www/voice/voice.css --bundle --minify --log-level=warning --outfile=$@
