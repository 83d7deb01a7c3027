/* What only the browser can do: theme and language before the page appears, keys, copying, the options drawer. */
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
  const language = stored(LANGUAGE);
  if (language) {
    Object.defineProperty(navigator, 'language', {get: () => language});
    rememberLanguage(language);
  }

  const theme = stored(THEME), url = new URL(location.href);
  if (theme && !url.searchParams.has('__theme')) {
    url.searchParams.set('__theme', theme);
    history.replaceState(null, '', url);
  }
  function toggleTheme() {
    const isDark = document.body.classList.toggle('dark');
    store(THEME, isDark ? 'dark' : 'light');
    const url = new URL(location.href);
    url.searchParams.set('__theme', isDark ? 'dark' : 'light');
    history.replaceState(null, '', url);
  }

  function toggleOptions(isOpen) {
    const open = document.documentElement.classList.toggle('mc-options-open', isOpen);
    $('mc-options-toggle')?.setAttribute('aria-expanded', open);
    if (open) $('mc-options')?.querySelector('textarea')?.focus();
    else $('mc-options-toggle')?.focus();
  }

  async function copy(button) {
    const label = button.textContent;
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
    return label;
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
    else if (document.documentElement.classList.contains('mc-options-open')) toggleOptions(false);
  });
  return {rememberLanguage, toggleOptions};
})();
