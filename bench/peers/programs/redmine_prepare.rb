# Run by `rails runner` after the migrations: turns the REST API on, makes a project, and prints the user's API key.
Setting.rest_api_enabled = '1'
project = Project.create!(name: 'Measured', identifier: 'measured', trackers: Tracker.all)
project.enable_module!(:issue_tracking)
puts User.find_by_login('admin').api_key
