/* Talks to the server: JSON, the CSRF token, a limit of time. Throws {offline: true} where nobody answers. */
(function (app) {
  "use strict";

  const LIMIT = 20000;
  const LIMIT_OF_PICTURES = 300000;
  const ROOT = "/api/v1";
  let csrf = "";
  let ahead = 0; // milliseconds by which the server's clock is ahead of this machine's, to the second
  let renew = null; // asks for a new CSRF token; true where it is still the same reader

  function offline(cause) {
    const error = new Error("the server does not answer: " + cause);
    error.offline = true;
    return error;
  }

  /* Status, headers and content of one request; read() takes the content out of the response. */
  async function ask(path, options, read, limit) {
    const stop = typeof AbortController === "undefined" ? null : new AbortController();
    const timer = stop && setTimeout(() => stop.abort(), limit || LIMIT);
    const settings = Object.assign({ credentials: "same-origin", cache: "no-store" }, options);
    if (stop) {
      settings.signal = stop.signal;
    }
    try {
      const response = await fetch(ROOT + path, settings);
      const told = Date.parse(response.headers.get("Date"));
      ahead = isNaN(told) ? ahead : told - Date.now();
      if (response.status >= 502 && response.status <= 504) {
        throw offline("status " + response.status);
      }
      return { status: response.status, headers: response.headers, body: await read(response) };
    } catch (error) {
      throw error.offline ? error : offline(error.message);
    } finally {
      clearTimeout(timer);
    }
  }

  async function json(response) {
    const text = await response.text();
    try {
      return text ? JSON.parse(text) : {};
    } catch (error) {
      return {};
    }
  }

  const get = (path) => ask(path, { method: "GET" }, json);

  async function post(path, body) {
    const send = () => ask(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify(body === undefined ? {} : body),
    }, json);
    const answer = await send();
    const code = answer.body.error && answer.body.error.code;
    if (answer.status === 403 && code === "csrf" && renew && (await renew())) {
      return send();
    }
    return answer;
  }

  /* The bytes of a picture; throws {status} where the server refuses it. */
  async function bytes(url) {
    const path = url.startsWith(ROOT) ? url.slice(ROOT.length) : url;
    const answer = await ask(path, { method: "GET" }, (response) => response.arrayBuffer(), LIMIT_OF_PICTURES);
    if (answer.status !== 200) {
      const error = new Error("the server refused an image (status " + answer.status + ")");
      error.status = answer.status;
      throw error;
    }
    return answer.body;
  }

  /* What a refusal says, as one sentence or two. */
  function said(answer) {
    const error = (answer && answer.body && answer.body.error) || {};
    const thing = error.thing || "the server refused this (status " + (answer && answer.status) + ")";
    const whole = thing.charAt(0).toUpperCase() + thing.slice(1);
    return whole + "." + (error.next ? " Next: " + error.next + "." : "");
  }

  app.http = {
    get: get,
    post: post,
    bytes: bytes,
    said: said,
    time: () => Date.now() + ahead,
    setToken: function (token) { csrf = token; },
    onStale: function (ask) { renew = ask; },
  };
})((window.readerStudy = window.readerStudy || {}));
