/* What only the browser can do: theme and language, keys, copying, the options drawer. */
window.mindcubes = (() => {
  const LANGUAGE = 'mindcubes_language', THEME = 'mindcubes_theme';
  const stored = name => { try { return localStorage.getItem(name); } catch { return null; } };
  const store = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private window: not remembered */ } };
  const $ = id => document.getElementById(id);

  function rememberLanguage(language) {
    const rule = location.protocol === 'https:' ? 'SameSite=None; Secure; Partitioned' : 'SameSite=Lax';
    document.cookie = `${LANGUAGE}=${language}; path=/; max-age=31536000; ${rule}`;
    store(LANGUAGE, language);
    document.documentElement.lang = language;
  }
  if (stored(LANGUAGE)) rememberLanguage(stored(LANGUAGE));     // a cookie may have been dropped earlier than this

  if (stored(THEME) && !new URL(location.href).searchParams.has('__theme')) showTheme(stored(THEME) === 'dark');
  function showTheme(isDark) {
    document.body.classList.toggle('dark', isDark);
    const url = new URL(location.href);
    url.searchParams.set('__theme', isDark ? 'dark' : 'light');     // Gradio's own name for it
    history.replaceState(null, '', url);
  }
  function toggleTheme() {
    const isDark = !document.body.classList.contains('dark');
    store(THEME, isDark ? 'dark' : 'light');
    showTheme(isDark);
  }

  function toggleOptions(isOpen) {
    const open = $('mc-options').classList.toggle('is-open', isOpen);
    $('mc-options-toggle')?.setAttribute('aria-expanded', open);
    if (open) $('mc-options').querySelector('textarea').focus();
    else $('mc-options-toggle')?.focus();
  }

  async function copy(button) {
    try {
      await navigator.clipboard.writeText(button.dataset.text);
      button.classList.add('is-done');
    } catch {
      const area = Object.assign(document.createElement('textarea'), {value: button.dataset.text});
      document.body.append(area);
      area.select();
      const isCopied = document.execCommand('copy');
      area.remove();
      button.classList.add(isCopied ? 'is-done' : 'is-failed');
    }
    setTimeout(() => button.classList.remove('is-done', 'is-failed'), 1500);
  }

  document.addEventListener('click', event => {
    const button = event.target.closest('button');
    if (button?.id === 'mc-theme') toggleTheme();
    else if (button?.classList.contains('mc-copy')) copy(button);
    else if (button?.classList.contains('mc-again')) $('mc-regenerate')?.click();
  });
  document.addEventListener('keydown', event => {
    if (event.key !== 'Escape' || event.isComposing) return;
    const stop = $('mc-stop');
    if (stop?.offsetParent) stop.click();
    else if ($('mc-options')?.classList.contains('is-open')) toggleOptions(false);
  });
  return {rememberLanguage, toggleOptions};
})();
