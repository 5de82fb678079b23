/** The file that is being worked on, kept in the browser (IndexedDB), so that a reload finds it again. */

const DATABASE = "retimbre";
const SHELF = "files";
const NAME = "source";

/** @param {{handle: string, name: string, blob: Blob}} file */
export async function keepFile(file) {
  await onShelf("readwrite", (shelf) => shelf.put(file, NAME));
}

/** @returns {Promise<{handle: string, name: string, blob: Blob} | undefined>} */
export function keptFile() {
  return onShelf("readonly", (shelf) => shelf.get(NAME));
}

async function onShelf(mode, action) {
  const database = await settled(openDatabase());
  try {
    return await settled(action(database.transaction(SHELF, mode).objectStore(SHELF)));
  } finally {
    database.close();
  }
}

function openDatabase() {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(SHELF);
  return opening;
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
