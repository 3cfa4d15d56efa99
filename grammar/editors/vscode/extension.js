// Starts `ktgc lsp` for .ktg texts, saved or not.

const { window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function activate(context) {
  const [command, ...args] = workspace.getConfiguration("ktg").get("command");
  const watcher = workspace.createFileSystemWatcher("**/*.{ktg,safetensors,pt,pth}");
  context.subscriptions.push(watcher);
  client = new LanguageClient(
    "ktgc",
    "ktgc lsp",
    { command, args },
    {
      documentSelector: [
        { scheme: "file", language: "ktg" },
        { scheme: "untitled", language: "ktg" },
      ],
      synchronize: { fileEvents: watcher },
    },
  );
  try {
    await client.start();
  } catch (error) {
    window.showErrorMessage(
      `\`${command}\` does not start: install ktgdsl[lsp], or set "ktg.command". ${error}`,
    );
  }
}

function deactivate() {
  return client?.isRunning() ? client.stop() : undefined;
}

module.exports = { activate, deactivate };
