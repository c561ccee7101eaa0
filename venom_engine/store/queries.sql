-- Every statement, by name. `-- name --` opens one; sql.py reads this file once.

-- add_lane --
INSERT OR IGNORE INTO lane (queue, skill, needs) VALUES (?, ?, ?);
-- lane_number --
SELECT lane FROM lane WHERE queue = ? AND skill = ? AND needs = ?;
-- lane_by_number --
SELECT queue, skill, needs FROM lane WHERE lane = ?;
-- lanes_waiting --
-- One step per lane: hops along the index instead of walking through what waits.
SELECT lane.lane FROM lane
WHERE EXISTS (SELECT 1 FROM task WHERE task.lane = lane.lane AND task.status = 'PENDING');

-- add_task --
INSERT INTO task (n, id, lane, status, priority, content, method, parameters, max_retries, timeout,
                  attempt, excused, node_id, created_at, started_at, finished_at, result, error)
VALUES (:n, :id, :lane, :status, :priority, :content, :method, :parameters, :max_retries, :timeout,
        :attempt, :excused, :node_id, :created_at, :started_at, :finished_at, :result, :error);

-- claim_one_lane --
UPDATE task SET status = 'PROCESSING', attempt = attempt + 1, node_id = :node_id, started_at = :now
WHERE n IN (SELECT n FROM task WHERE lane = :lane AND status = 'PENDING'
            ORDER BY priority DESC, n LIMIT :limit)
RETURNING {columns};
-- heads --
SELECT priority, n FROM task WHERE lane = :lane AND status = 'PENDING'
ORDER BY priority DESC, n LIMIT :limit;
-- claim_one --
UPDATE task SET status = 'PROCESSING', attempt = attempt + 1, node_id = :node_id, started_at = :now
WHERE n = :n AND status = 'PENDING' RETURNING {columns};

-- end_attempt --
-- Compare and set: no row back means that the task had moved on.
UPDATE task SET status = :now, finished_at = :finished_at, result = :result, error = :error,
                excused = excused + :excused,
                node_id = CASE :now WHEN 'PENDING' THEN NULL ELSE node_id END
WHERE id = :id AND status = 'PROCESSING' AND attempt = :attempt
RETURNING {columns};
-- abort_one --
UPDATE task SET status = 'ABORTED', finished_at = :now, error = :error
WHERE id = :id AND status IN ('PENDING', 'PROCESSING');
-- abort_all --
UPDATE task SET status = 'ABORTED', finished_at = :now, error = :error
WHERE status = :status;
-- abort_all_events --
INSERT INTO event (at, type, task, message, data)
SELECT :now, 'TASK_ABORTED', n, :message,
       json_object('task_id', id, 'status', 'ABORTED', 'attempt', attempt, 'node_id', node_id)
FROM task WHERE status = :status;

-- add_event --
INSERT INTO event (seq, at, type, task, message, data) VALUES (?, ?, ?, ?, ?, ?);
-- newest --
SELECT (SELECT coalesce(max(n), 0) FROM task), (SELECT coalesce(max(seq), 0) FROM event);
-- task_number --
SELECT n FROM task WHERE id = ?;
-- set_control --
UPDATE control SET paused = :paused, stopped = :stopped, by = :by, at = :at;
-- control --
SELECT paused, stopped, by, at FROM control;
-- counts_alive_and_ended --
SELECT 'PENDING', count(*) FROM task WHERE status = 'PENDING'
UNION ALL SELECT status, count(*) FROM task WHERE status IN ('PROCESSING', 'FAILED', 'ABORTED') GROUP BY status;
-- count_all --
SELECT count(*) FROM task;

-- last_piece --
SELECT coalesce(max(piece), 0) FROM output WHERE task = ? AND attempt = ?;
-- add_output --
INSERT INTO output (task, n, attempt, piece, stream, at, text) VALUES (?, ?, ?, ?, ?, ?, ?);
-- output_sizes --
SELECT n, length(CAST(text AS BLOB)) FROM output WHERE task = ? ORDER BY n;
-- cut_output --
DELETE FROM output WHERE task = ? AND n BETWEEN ? AND ?;
-- output --
SELECT n, attempt, stream, text, at FROM output WHERE task = ? AND n > ? ORDER BY n LIMIT ?;
-- tail --
SELECT n, attempt, stream, text, at FROM output WHERE task = ? ORDER BY n DESC LIMIT ?;

-- find --
SELECT {columns} FROM task WHERE id = ?;
-- page --
SELECT {columns} FROM task WHERE {where} ORDER BY n DESC LIMIT :limit OFFSET :offset;
-- page_count --
SELECT count(*) FROM task WHERE {where};
-- where_cursor --
n < :cursor
-- where_status --
status IN (SELECT value FROM json_each(:status))
-- where_queue --
lane IN (SELECT lane FROM lane WHERE queue = :queue)
-- where_skill --
lane IN (SELECT lane FROM lane WHERE skill = :skill)
-- where_node --
node_id = :node
-- where_text --
instr(lower(content), lower(:text)) > 0

-- held --
SELECT {columns},
       (SELECT coalesce(max(piece), 0) FROM output WHERE output.task = task.n AND output.attempt = task.attempt)
FROM task WHERE status = 'PROCESSING';
-- stage_log --
SELECT seq, at, type, message, data FROM event WHERE task = ? ORDER BY seq;
-- events --
SELECT seq, at, type, message, data FROM event WHERE seq > ? ORDER BY seq LIMIT ?;
-- seq_range --
SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM event;
-- prune_events --
DELETE FROM event WHERE seq IN (
    SELECT event.seq FROM event LEFT JOIN task ON task.n = event.task
    WHERE event.seq <= (SELECT max(seq) FROM event) - :keep
      AND (task.n IS NULL OR task.status IN ('COMPLETED', 'FAILED', 'ABORTED'))
    ORDER BY event.seq LIMIT :limit);
-- all_tasks --
SELECT {columns} FROM task WHERE n > ? ORDER BY n LIMIT ?;
