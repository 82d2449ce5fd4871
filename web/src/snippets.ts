// The empty page: how to make the first line.
import { parseChannel } from '../../clients/js/src/index.js';
import { byId, copyText, make, makeButton } from './dom.js';

/** What a document needs to come on the first of these channels, as far as the usual form tells. */
function example(channels: string): { service: string; workspace: string; workflow: string } {
  const [, service, workspace, workflow] = parseChannel(channels.split(',')[0] ?? '');
  const or = (value: string | undefined, otherwise: string): string => (value && value !== '*' ? value : otherwise);
  return { service: or(service, 'etl'), workspace: or(workspace, 'w1'), workflow: or(workflow, 'f1') };
}

function texts(channels: string, base: string): [string, string][] {
  const { service, workspace, workflow } = example(channels);
  const j = JSON.stringify;
  const collection = `${service}_logs`;
  const document = `{workspace_id: ${j(workspace)}, workflow_id: ${j(workflow)}, level: "INFO", message: "hello"}`;
  const python = `{"workspace_id": ${j(workspace)}, "workflow_id": ${j(workflow)}, "level": "INFO", "message": "hello"}`;
  const body = j({ service, workspace_id: workspace, workflow_id: workflow, logData: { level: 'INFO', message: 'hello' } }).replace(/'/g, "'\\''");
  return [
    ['mongosh', `db.getCollection(${j(collection)}).insertOne(${document})`],
    ['Python', `pymongo.MongoClient(uri)[database][${j(collection)}].insert_one(${python})`],
    ['curl, with the token of a service', `curl -H "Authorization: Bearer $SERVICE_TOKEN" -H "Content-Type: application/json" -d '${body}' ${base}/api/logs/publish`],
  ];
}

export function showSnippets(channels: string, base: string): void {
  byId('empty-channels').textContent = channels;
  byId('snippets').replaceChildren(...texts(channels, base).map(([title, text]) => {
    const box = make('div', '', 'snippet');
    const button = makeButton('Copy', () => {
      void copyText(text);
      button.textContent = 'Copied';
      setTimeout(() => (button.textContent = 'Copy'), 1500);
    });
    button.setAttribute('aria-label', `Copy: ${title}`);
    const pre = make('pre', text);
    box.append(make('h3', title), pre, button);
    return box;
  }));
}
