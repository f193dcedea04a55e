# The page: two files made of many by esbuild, from Debian's own packages.
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
	www/view.js
dist_www_DATA = www/index.html www/icon.svg
nodist_www_DATA = www/built/app.js www/built/app.css
CLEANFILES += $(nodist_www_DATA)
EXTRA_DIST += $(www_sources) www/screenshot.png

node_modules_path = /usr/share/nodejs
WWW_NOTICE = /*! Helpline, ISC licence. With markdown-it, linkify-it, mdurl and uc.micro by Vitaly Puzrin, Alex Kocharin and others, MIT licence. */

www/built/app.js: $(www_sources)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && NODE_PATH=$(node_modules_path) $(ESBUILD) $(srcdir)/www/app.js --bundle --minify \
	    --format=iife --target=es2019 --charset=utf8 --log-level=warning --banner:js='$(WWW_NOTICE)' \
	    --alias:punycode=$(abs_srcdir)/www/punycode.js --alias:punycode.js=$(abs_srcdir)/www/punycode.js --outfile=$@

www/built/app.css: www/app.css
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(ESBUILD) $(srcdir)/www/app.css --minify --log-level=warning --outfile=$@
