// What every page needs: theme, times in the reader's zone, live regions, actions, dialogs, starting. Modules of our own, no other.
import { localizeTimes } from "./times.js";
import { startLive } from "./live.js";
import { listenForActions } from "./actions.js";
import { listenForDialogs } from "./dialogs.js";
import { listenForStart } from "./start_dialog.js";
import { listenForTheme } from "./theme.js";

listenForTheme();
listenForDialogs();
listenForActions();
listenForStart();
localizeTimes(document);
startLive(document);
