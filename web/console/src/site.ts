/** Name of the site, in the bar and in the titles of the browser's tabs. */
export const site = "System Console";
