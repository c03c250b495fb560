/* Search from disk: browsers start no worker for a page of file:, so its script runs in a hidden frame instead. The theme asks for
   a worker and for the name `IFrameWorker`; served by a host, nothing of this is used. */
if (location.protocol === "file:") {
  window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.documentElement.append(this.frame);
      const inside = this.inside = this.frame.contentWindow;
      const load = address => new Promise((done, failed) => {
        const script = inside.document.createElement("script");
        Object.assign(script, {src: new URL(address, location.href).href, onload: done, onerror: failed});
        inside.document.head.append(script);
      });
      inside.importScripts = (...urls) => urls.reduce((before, next) => before.then(() => load(next)), Promise.resolve());
      inside.postMessage = data => this.answer(new MessageEvent("message", {data}));
      this.ready = load(url);
    }
    answer(event) {
      this.dispatchEvent(event);
      if (this.onmessage) this.onmessage(event);
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new this.inside.MessageEvent("message", {data})));
    }
    terminate() {
      this.frame.remove();
    }
  };
  window.Worker = window.IFrameWorker;
}
